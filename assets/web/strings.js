// Every word of the page, in English and Korean, and the ways to put one on screen. {name} is filled from `values`.
// Words are only ever set as text or attribute, never as markup.

const kWords = {
  skip: ['Skip to the page', '본문으로 건너뛰기'],
  create: ['Create', '만들기'],
  describe: ['Describe', '설명'],
  find: ['Find', '찾기'],
  history: ['History', '기록'],
  views: ['Views', '화면'],
  theme: ['Theme: {now}', '화면 색: {now}'],
  theme_auto: ['as the system', '시스템 설정'],
  theme_light: ['light', '밝게'],
  theme_dark: ['dark', '어둡게'],
  language: ['한국어로 보기', 'View in English'],
  close: ['Close', '닫기'],
  cancel: ['Cancel', '취소'],
  retry: ['Try again', '다시 시도'],
  undo: ['Undo', '되돌리기'],
  drop_here: ['Drop the pictures here', '여기에 그림을 놓으세요'],
  drop_or_choose: ['Drop pictures or folders here, or press to choose', '그림이나 폴더를 여기에 놓거나 눌러서 고르세요'],
  checking: ['Looking for the server', '서버를 찾는 중'],
  offline: ['No answer from the server', '서버가 응답하지 않음'],

  prompt: ['What should be drawn?', '무엇을 그릴까요?'],
  prompt_hint: ['a red circle above a blue star', '파란 별 위에 빨간 동그라미'],
  style: ['Style', '스타일'],
  style_any: ['Any', '상관없음'],
  count: ['Pictures', '그림 수'],
  seed: ['Seed', '시드'],
  seed_hint: ['random', '무작위'],
  seed_new: ['New random seed', '새 무작위 시드'],
  seed_lock: ['Keep this seed', '이 시드 고정'],
  seed_bad: ['The seed is a whole number from 0 to 9007199254740000.', '시드는 0부터 9007199254740000까지의 정수입니다.'],
  draw: ['Draw', '그리기'],
  settings: ['Settings', '세부 설정'],
  size: ['Size', '크기'],
  size_auto: ["The model's own", '모델 기본 크기'],
  guidance_short: ['Guidance', '충실도'],
  guidance: ['Closeness to the words', '글에 충실한 정도'],
  steps: ['Steps', '단계 수'],
  negative: ['Leave out', '빼고 싶은 것'],
  negative_hint: ['text, frame', '글자, 테두리'],
  transparent: ['Transparent background', '투명한 배경'],
  clean: ['Clean edges and flat colours', '테두리와 단색을 매끈하게'],
  best: ['Begin four of each, keep the best', '그림마다 네 장을 시작해 가장 나은 것만 남기기'],
  mark: ['Corner mark “AI” on downloads', '내려받는 그림 모서리에 AI 표시'],
  defaults: ['Back to the defaults', '기본값으로'],
  nothing_to_draw: ['Write what should be drawn first.', '무엇을 그릴지 먼저 써 주세요.'],
  try_one: ['Try one of these', '이렇게 써 보세요'],
  empty_create: ['Pictures appear here', '그림이 여기에 나타납니다'],
  empty_create_more: [
    'Write a few words and press Draw. Or drop a picture: one drawn by duet brings its settings back, any other can be varied or changed in parts.',
    '몇 마디 쓰고 그리기를 누르세요. 그림을 끌어다 놓아도 됩니다. duet이 그린 그림이면 설정이 되살아나고, 다른 그림은 변형하거나 일부를 바꿀 수 있습니다.',
  ],
  open_picture: ['Open a picture', '그림 열기'],
  drawing: ['Drawing {n}', '{n}장 그리는 중'],
  drawing_one: ['Drawing', '그리는 중'],
  waiting: ['Many are drawing at once; yours begins in {s} s', '지금 그리는 사람이 많습니다. {s}초 뒤에 시작합니다'],
  drawn: ['{n} drawn in {s} s', '{n}장, {s}초'],
  cancelled: ['Cancelled', '취소했습니다'],
  source: ['Starting picture', '시작 그림'],
  source_remove: ['Remove the starting picture', '시작 그림 빼기'],
  strength: ['How different', '변화 정도'],
  resized: ['Made smaller, {w} × {h}: the server takes up to 2048 pixels a side', '{w} × {h}로 줄였습니다. 서버는 한 변 2048픽셀까지 받습니다'],
  settings_back: ['Settings of {name} are back', '{name}의 설정을 되살렸습니다'],
  no_settings: ['{name} carries no settings; it can be varied or changed in parts', '{name}에는 설정이 없습니다. 변형하거나 일부를 바꿀 수 있습니다'],

  picture_of: ['Picture {i} of {n}: {prompt}', '그림 {n}장 중 {i}: {prompt}'],
  picture_coming: ['Picture {i}, being drawn', '그림 {i}, 그리는 중'],
  open_large: ['Open picture {i}', '그림 {i} 크게 보기'],
  ai_made: ['AI-made', 'AI 생성'],
  download: ['Download PNG', 'PNG 내려받기'],
  vary: ['More like this', '비슷하게 더'],
  change: ['Change a part', '일부 바꾸기'],
  use_settings: ['Use these settings', '이 설정 쓰기'],
  describe_this: ['Describe', '설명하기'],
  similar: ['Find similar', '비슷한 그림 찾기'],
  remove: ['Delete', '삭제'],
  previous: ['Previous picture', '이전 그림'],
  next: ['Next picture', '다음 그림'],
  viewer: ['Picture', '그림'],
  copy_seed: ['Copy the seed', '시드 복사'],
  copied: ['Copied', '복사했습니다'],
  made: ['Made', '만든 때'],
  kind: ['Kind', '종류'],
  kind_edit: ['a part changed', '일부 바꿈'],
  kind_vary: ['more like another', '비슷하게'],
  name: ['File', '파일'],

  mask_title: ['Change a part', '일부 바꾸기'],
  mask_how: [
    'Paint over what should change. With the keyboard: arrows move the brush, Space paints.',
    '바꿀 곳을 칠하세요. 키보드로는 화살표로 붓을 옮기고 스페이스로 칠합니다.',
  ],
  mask_canvas: ['Picture to paint on. Arrows move the brush, Space paints, Ctrl+Z undoes.', '칠할 그림. 화살표로 붓을 옮기고 스페이스로 칠하며 Ctrl+Z로 되돌립니다.'],
  brush: ['Brush', '붓'],
  eraser: ['Eraser', '지우개'],
  tool: ['Tool', '도구'],
  brush_size: ['Brush size', '붓 크기'],
  clear: ['Clear', '모두 지우기'],
  invert: ['Invert', '반전'],
  mask_prompt: ['What should it be?', '무엇으로 바꿀까요?'],
  mask_none: ['Paint over what should change first.', '바꿀 곳을 먼저 칠해 주세요.'],
  mask_go: ['Draw the change', '바꿔 그리기'],
  painted: ['{p} % painted', '{p}% 칠함'],

  describe_title: ['Drop pictures to have them described', '그림을 놓으면 설명해 줍니다'],
  describe_more: ['Captions come in English and Korean. Correct them, then export.', '한국어와 영어로 설명합니다. 고친 뒤 내보낼 수 있습니다.'],
  choose_pictures: ['Choose pictures', '그림 고르기'],
  choose_folder: ['Choose a folder', '폴더 고르기'],
  captions_in: ['Languages', '언어'],
  both: ['Both', '둘 다'],
  english: ['English', '영어'],
  korean: ['Korean', '한국어'],
  export: ['Export', '내보내기'],
  coco: ['COCO JSON', 'COCO JSON'],
  csv: ['CSV', 'CSV'],
  txt: ['Text files', '텍스트 파일'],
  clear_list: ['Clear the list', '목록 비우기'],
  clear_ask: ['Take all {n} pictures and their captions off the list?', '그림 {n}장과 설명을 모두 목록에서 뺄까요?'],
  stop: ['Stop', '멈추기'],
  again: ['Describe again', '다시 설명'],
  take_off: ['Take {name} off the list', '{name} 목록에서 빼기'],
  caption_en: ['English caption of {name}', '{name}의 영어 설명'],
  caption_ko: ['Korean caption of {name}', '{name}의 한국어 설명'],
  described: ['{done} of {n} described', '{n}장 중 {done}장 설명함'],
  queued: ['In line', '대기 중'],
  reading: ['Reading', '읽는 중'],
  stopped: ['Stopped', '멈춤'],
  nothing_to_export: ['There are no captions to export yet.', '내보낼 설명이 아직 없습니다.'],

  find_title: ['Search a folder of pictures', '폴더 속 그림 찾기'],
  find_more: [
    'By words, or by another picture. The pictures are read by this server and kept nowhere.',
    '글이나 다른 그림으로 찾습니다. 그림은 이 서버가 읽기만 하고 어디에도 남기지 않습니다.',
  ],
  query: ['Search for', '찾을 것'],
  query_hint: ['a yellow animal', '노란 동물'],
  search: ['Search', '찾기'],
  by_picture: ['Search by a picture', '그림으로 찾기'],
  indexing: ['{done} of {n} pictures read', '그림 {n}장 중 {done}장 읽음'],
  indexed: ['{n} pictures ready', '그림 {n}장 준비됨'],
  indexed_bad: ['{n} pictures ready, {bad} could not be read', '그림 {n}장 준비됨, {bad}장은 읽지 못함'],
  ranked: ['{n} pictures, the nearest to “{query}” first', '“{query}”에 가까운 순서로 {n}장'],
  ranked_by: ['{n} pictures, the nearest to this picture first', '이 그림에 가까운 순서로 {n}장'],
  query_remove: ['Remove the picture searched for', '찾을 그림 빼기'],
  score: ['Likeness {s}', '유사도 {s}'],
  more: ['Show more', '더 보기'],
  unread: [
    'The model has not learned to read “{letter}”. Say it in words of English or Korean.',
    '모델이 읽을 줄 모르는 글자입니다: “{letter}”. 영어나 한국어로 써 보세요.',
  ],
  no_pictures: ['No pictures there. PNG, JPEG, WebP, GIF, BMP and SVG are read.', '그림이 없습니다. PNG, JPEG, WebP, GIF, BMP, SVG를 읽습니다.'],

  history_title: ['History', '기록'],
  history_search: ['Search the prompts', '프롬프트로 찾기'],
  history_count: ['{n} pictures, kept in this browser', '그림 {n}장, 이 브라우저에 보관'],
  history_empty: ['Nothing drawn yet', '아직 그린 그림이 없습니다'],
  history_empty_more: ['Every picture you draw is kept here, in this browser only, until you delete it.', '그린 그림은 지울 때까지 이 브라우저에만 보관됩니다.'],
  history_off: ['This browser keeps no data for this page (a private window?), so pictures are gone after a reload.', '이 브라우저가 데이터를 보관하지 않아(시크릿 창?) 새로 고치면 그림이 사라집니다.'],
  history_full: ['This browser has no room for more pictures; delete some in History.', '브라우저 저장 공간이 가득 찼습니다. 기록에서 몇 장 지워 주세요.'],
  delete_all: ['Delete all', '모두 삭제'],
  delete_all_ask: ['Delete all {n} pictures? They cannot be had back.', '그림 {n}장을 모두 삭제할까요? 되돌릴 수 없습니다.'],
  deleted: ['Deleted', '삭제했습니다'],
  none_match: ['No prompt holds “{q}”', '“{q}”이(가) 든 글이 없습니다'],

  key_title: ['This server asks for an API key', '이 서버에는 API 키가 필요합니다'],
  key_more: ['It is in the file that the server was started with (--api-key-file).', '서버를 시작할 때 준 파일(--api-key-file)에 있습니다.'],
  key: ['API key', 'API 키'],
  key_go: ['Continue', '계속'],
  key_needed: ['Key needed', 'API 키 필요'],
  err_offline: ['The server does not answer. Is “duet serve” still running?', '서버가 응답하지 않습니다. “duet serve”가 실행 중인지 확인하세요.'],
  err_cut: ['The server stopped in the middle of its answer.', '서버가 응답하다가 멈췄습니다.'],
  err_key: ['The server did not take the key.', '서버가 API 키를 받아들이지 않았습니다.'],
  err_status: ['The server answered {status}.', '서버가 {status}(으)로 답했습니다.'],
  err_busy: ['The server is busy. Try again in a moment.', '서버가 바쁩니다. 잠시 뒤 다시 시도하세요.'],
  err_picture: ['{name} is not a picture this browser can open. Use PNG, JPEG or WebP.', '{name}은(는) 이 브라우저가 열 수 없는 그림입니다. PNG, JPEG, WebP를 쓰세요.'],
  err_id: ['Request {id}', '요청 {id}'],
};

export const lang = () => (document.documentElement.lang === 'ko' ? 'ko' : 'en');

export function t(key, values = {}) {
  const words = kWords[key][lang() === 'ko' ? 1 : 0];
  return words.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

const kStylesKo = new Map();  // what styles are called in Korean
export const nameStyle = (style, korean) => void (korean && kStylesKo.set(style, korean));

// A style in the page's language, where that is known.
export function styleName(style) {
  if (!style) return style;
  return lang() === 'ko' ? kStylesKo.get(style) || style : style[0].toUpperCase() + style.slice(1);
}

const kValues = new WeakMap();  // element -> {key: values}, to say it again in the other language

function put(node, how, key, values) {
  node.setAttribute(`data-${how}`, key);
  kValues.set(node, { ...kValues.get(node), [how]: values });
  const words = t(key, values);
  if (how === 't') node.textContent = words;
  if (how === 'label') node.setAttribute('aria-label', words);
  if (how === 'tip') {
    node.setAttribute('aria-label', words);
    node.title = words;
  }
  if (how === 'hint') node.placeholder = words;
  if (how === 'alt') node.alt = words;
  return node;
}

export const say = (node, key, values) => put(node, 't', key, values);
export const label = (node, key, values) => put(node, 'label', key, values);
export const tip = (node, key, values) => put(node, 'tip', key, values);
export const alt = (node, key, values) => put(node, 'alt', key, values);

// Text that is no word of ours takes an element's words away.
export function plain(node, text) {
  node.removeAttribute('data-t');
  node.textContent = text;
  return node;
}

// Says everything below `root` in the page's language; index.html names its words by data-t, data-label, data-tip, data-hint.
export function translate(root = document) {
  for (const how of ['t', 'label', 'tip', 'hint', 'alt'])
    for (const node of root.querySelectorAll(`[data-${how}]`))
      put(node, how, node.getAttribute(`data-${how}`), kValues.get(node)?.[how]);
}

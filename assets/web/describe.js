// Describe: captions of dropped pictures stream in, in both languages; they can be corrected, and exported.
import { ask, dataUrl, events, Refusal } from './api.js';
import { $, chooseFiles, download, el, iconButton, speak, sure, toast } from './dom.js';
import { coco, csv, texts } from './export.js';
import { isPicture, sendable } from './picture.js';
import * as store from './store.js';
import { label, plain, say, t } from './strings.js';
import { view } from './viewer.js';

const kAtOnce = 2;  // pictures under way; the server batches them
const kAsk = { en: 'Describe this picture.', ko: '이 그림을 설명해 주세요.' };

let items = [];  // {id, name, blob, width, height, en, ko, todo: languages to ask for, card}
let active = 0;
let stopper = new AbortController();
let model = '';

export const setModel = (id) => (model = id);

const langs = () => {
  const chosen = document.querySelector('[name=captions]:checked').value;
  return chosen === 'both' ? ['en', 'ko'] : [chosen];
};

function freeName(name) {
  const taken = new Set(items.map((i) => i.name));
  const dot = name.lastIndexOf('.') > 0 ? name.lastIndexOf('.') : name.length;
  let free = name;
  for (let n = 2; taken.has(free); ++n) free = `${name.slice(0, dot)}-${n}${name.slice(dot)}`;
  return free;
}

// Only what the store holds: a card is an element and cannot be kept.
function keep(item) {
  const { id, name, blob, width, height, en, ko } = item;
  const value = { name, blob, width, height, en, ko };
  if (id !== undefined) value.id = id;
  item.saving = (item.saving ?? Promise.resolve()).then(async () => {
    if (item.gone) return;
    if (item.id !== undefined) value.id = item.id;
    item.id = await store.put('captions', value);
    if (item.gone) await store.remove('captions', item.id);
  }).catch(() => {});
}

function box(item, language) {
  const area = el('textarea', { rows: 2, lang: language, maxLength: 2000, value: item[language] || '', spellcheck: false });
  label(area, `caption_${language}`, { name: item.name });
  area.addEventListener('change', () => {
    item[language] = area.value.trim();
    keep(item);
    showState();
  });
  return area;
}

function card(item) {
  const img = el('img', { src: URL.createObjectURL(item.blob), alt: '' });
  const look = el('button.look.check', { type: 'button', onclick: () => view(items, items.indexOf(item)) }, img);
  look.setAttribute('aria-label', item.name);
  item.state = el('span.quiet');
  item.boxes = { en: box(item, 'en'), ko: box(item, 'ko') };
  const again = iconButton('restore', 'again', () => queue(item, langs()));
  const off = iconButton('close', 'take_off', () => takeOff(item), { name: item.name });
  const head = el('div.caphead', {}, el('span.name', { title: item.name }, item.name), item.state, again, off);
  const line = (language, tag) => el('div.capline', {}, el('span.tag', { lang: language }, tag), item.boxes[language]);
  item.card = el('li.caption', {}, look, el('div.capbody', {}, head, line('en', 'EN'), line('ko', '한국어')));
  return item.card;
}

function showState() {
  const finished = items.filter((i) => !i.todo.length && (i.en || i.ko)).length;
  $('describe-tools').hidden = items.length === 0;
  $('describe-drop').hidden = items.length > 0;
  $('describe-stop').hidden = !items.some((i) => i.todo.length);
  if (items.length) say($('describe-state'), 'described', { done: finished, n: items.length });
}

function takeOff(item) {
  const next = item.card.nextElementSibling || item.card.previousElementSibling;
  item.gone = true;
  item.todo = [];
  item.stop?.abort();
  items = items.filter((i) => i !== item);
  item.card.remove();
  if (item.id !== undefined) store.remove('captions', item.id).catch(() => {});
  (next?.querySelector('.caphead .tool:last-child') ?? $('describe-choose')).focus();
  showState();
}

async function caption(item, language, signal) {
  const area = item.boxes[language];
  const image = { type: 'image_url', image_url: { url: item.url } };
  const json = {
    messages: [{ role: 'user', content: [image, { type: 'text', text: kAsk[language] }] }], stream: true, max_tokens: 64, temperature: 0,
  };
  if (model) json.model = model;
  const onWait = (s) => say(item.state, 'waiting', { s });
  area.readOnly = true;
  try {
    const response = await ask('/v1/chat/completions', { json, signal, onWait });
    say(item.state, 'reading');
    let text = '', ended = false;
    for await (const { data } of events(response)) {
      text += data.choices?.[0]?.delta?.content ?? '';
      ended ||= Boolean(data.choices?.[0]?.finish_reason);
      area.value = text.trimStart();
    }
    if (!ended) throw new Refusal(t('err_cut'));
    item[language] = area.value = text.trim();
  } catch (e) {
    area.value = item[language] || '';
    throw e;
  } finally {
    area.readOnly = false;
  }
}

async function describe(item) {
  item.stop = new AbortController();
  const signal = AbortSignal.any ? AbortSignal.any([item.stop.signal, stopper.signal]) : stopper.signal;
  item.card.setAttribute('aria-busy', 'true');
  item.state.classList.remove('bad');
  say(item.state, 'reading');
  try {
    item.url = await dataUrl(item.blob);
    while (item.todo.length) {
      await caption(item, item.todo[0], signal);
      item.todo.shift();
      keep(item);
    }
    plain(item.state, '');
  } catch (e) {
    item.todo = [];
    if (e.name === 'AbortError') say(item.state, 'stopped');
    else plain(item.state, e.message);
    item.state.classList.toggle('bad', e.name !== 'AbortError');
  }
  delete item.url;
  item.card.setAttribute('aria-busy', 'false');
}

function pump() {
  while (active < kAtOnce) {
    const item = items.find((i) => i.todo.length && !i.busy);
    if (!item) break;
    item.busy = true;
    ++active;
    describe(item).finally(() => {
      item.busy = false;
      --active;
      pump();
    });
  }
  showState();
  if (!active && items.length) speak($('describe-state').textContent);
}

function queue(item, which) {
  if (item.busy) return;
  item.todo = [...which];
  say(item.state, 'queued');
  pump();
}

function insert(item) {
  item.todo = [];
  items.push(item);
  $('captions').append(card(item));
}

export async function addFiles(files) {
  if (!files.length) return;
  const good = files.filter(isPicture);
  if (!good.length) toast(t('no_pictures'));
  if (stopper.signal.aborted) stopper = new AbortController();
  for (const file of good) {
    try {
      const sent = await sendable(file);
      const item = { ...sent, name: freeName(file.webkitRelativePath || file.name), en: '', ko: '' };
      insert(item);
      queue(item, langs());
    } catch (e) {
      toast(e.message);
    }
  }
}

export async function describeOne(picture, name) {
  await addFiles([new File([picture.blob], name, { type: picture.blob.type })]);
}

function exportAs(make, name) {
  const which = langs();
  if (!items.some((i) => which.some((l) => i[l]))) return toast(t('nothing_to_export'));
  return download(make(items, which), name);
}

async function clearAll() {
  if (items.some((i) => i.en || i.ko) && !(await sure('clear_ask', { n: items.length }))) return;
  stopper.abort();
  for (const i of items) i.gone = true;
  items = [];
  $('captions').replaceChildren();
  await store.clear('captions').catch(() => {});
  showState();
  $('describe-choose').focus();
}

export async function startDescribe() {
  const choose = async () => addFiles(await chooseFiles({ many: true }));
  $('describe-choose').onclick = $('describe-drop').onclick = choose;
  $('describe-stop').onclick = () => {
    stopper.abort();
    for (const i of items.filter((x) => x.todo.length && !x.busy)) (i.todo = []), say(i.state, 'stopped');
    stopper = new AbortController();
    showState();
  };
  $('describe-clear').onclick = clearAll;
  $('export-coco').onclick = () => exportAs(coco, 'captions.json');
  $('export-csv').onclick = () => exportAs(csv, 'captions.csv');
  $('export-txt').onclick = () => exportAs(texts, 'captions.zip');
  for (const item of await store.all('captions').catch(() => [])) insert(item);
  showState();
}

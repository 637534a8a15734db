// Create: draws, changes a part, makes more like one; the grid in which pictures sharpen while they are drawn.
import { askJson, base64Of, pictures, Refusal } from './api.js';
import { $, chooseFiles, el, showError, speak, toast, wordButton, iconButton } from './dom.js';
import { count, fill, lock, ownSeed, settings, startForm, takeSeed } from './form.js';
import { paint } from './mask.js';
import { fitted, openPicture, settingsOf } from './picture.js';
import * as store from './store.js';
import { alt, label, plain, say, t } from './strings.js';
import { act, onAct, quick, tile, urlOf, view } from './viewer.js';

const kPreviews = 8;     // of each picture
const kBestOf = 4;       // drawings that each is the best of; words are needed to choose by
const kMostSide = 2048;  // of a starting picture, in pixels: what the server takes
const kTries = {
  en: ['a red circle above a blue star', 'a smiling yellow cat face', 'two green hearts', 'a house at night'],
  ko: ['파란 별 위에 빨간 동그라미', '웃는 노란 고양이 얼굴', '초록색 하트 두 개', '밤의 집'],
};

let running = null;              // the AbortController of the drawing under way
let begun = 0;
let shown = [];                  // the pictures of the grid
let goTo = () => {};

// One picture of the grid while it is drawn; `step` shows a preview once it is decoded, in the order they came.
class Slot {
  constructor(index, of) {
    this.bar = label(el('progress', { max: kPreviews + 1, value: 0 }), 'picture_coming', { i: index + 1 });
    this.img = alt(el('img'), 'picture_coming', { i: index + 1 });
    this.look = el('div.look.check.coming', {}, this.bar);
    this.node = el('li.tile', {}, this.look);
    this.index = index;
    this.of = of;
    this.turn = Promise.resolve();
  }
  step(blob) {
    this.turn = this.turn.then(async () => {
      const next = alt(el('img', { src: URL.createObjectURL(blob) }), 'picture_coming', { i: this.index + 1 });
      await next.decode().catch(() => {});
      if (this.img.isConnected) this.img.replaceWith(next);
      else this.look.prepend(next);
      URL.revokeObjectURL(this.img.src);
      this.img = next;
      this.bar.value += 1;
    });
  }
  finish(picture) {
    this.turn = this.turn.then(async () => {
      const node = drawnTile(picture, this.index, this.of);
      await node.querySelector('img').decode().catch(() => {});
      this.node.replaceWith(node);
      this.node = node;
    });
  }
}

function drawnTile(picture, i, of) {
  const node = tile(picture, () => view(shown, shown.indexOf(picture)), quick('save', 'download', 'download', picture),
                    quick('vary', 'vary', 'vary', picture), quick('change', 'change', 'change', picture));
  label(node.querySelector('.look'), 'open_large', { i: i + 1 });
  alt(node.querySelector('img'), 'picture_of', { i: i + 1, n: of, prompt: picture.prompt });
  node.querySelector('img').loading = 'eager';  // a lazy picture outside the page would never be decoded
  picture.tile = node;
  return node;
}

function showGrid(title, n) {
  $('empty').hidden = true;
  $('drawn').hidden = false;
  $('drawn-error').hidden = true;
  $('grid').dataset.n = n <= 1 ? 1 : n <= 4 ? 4 : 9;
  plain($('drawn-title'), title);
}

function showPast(list) {
  shown = list;
  showGrid(list[0].prompt || '', list.length);
  plain($('drawn-state'), '');
  $('grid').replaceChildren(...list.map((p, i) => drawnTile(p, i, list.length)));
}

function drawButton(on) {
  say($('draw').firstElementChild, on ? 'cancel' : 'draw');
  $('draw').classList.toggle('running', on);
  $('drawn-cancel').hidden = !on;
  $('grid').setAttribute('aria-busy', String(on));
}

async function keepPicture(picture) {
  try {
    const { blob, prompt, settings: s, seed, kind, at, batch } = picture;
    const id = await store.put('pictures', { blob, prompt, settings: s, seed, kind, at, batch });
    if (id !== undefined) picture.id = id;
    document.dispatchEvent(new CustomEvent('duet:added'));
  } catch {
    toast(t('history_full'));
  }
}

// Runs one job {path, title, n, settings, seed?, kind, json? or form?} and fills the grid as its pictures come.
async function run(job) {
  running?.abort();
  const mine = (running = new AbortController());
  const before = shown;
  const beforeTitle = $('drawn-title').textContent;
  begun = performance.now();
  const slots = Array.from({ length: job.n }, (_, i) => new Slot(i, job.n));
  const done = [];
  const batch = Date.now();
  showGrid(job.title, job.n);
  shown = [];
  $('grid').replaceChildren(...slots.map((s) => s.node));
  say($('drawn-state'), job.n > 1 ? 'drawing' : 'drawing_one', { n: job.n });
  speak(t(job.n > 1 ? 'drawing' : 'drawing_one', { n: job.n }));
  drawButton(true);
  // In one column the pictures are below the form.
  if (matchMedia('(max-width: 52rem)').matches) $('drawn').scrollIntoView();
  const came = (i, blob, seed, final) => {
    if (mine !== running || !slots[i]) return;
    say($('drawn-state'), job.n > 1 ? 'drawing' : 'drawing_one', { n: job.n });
    if (!final) return slots[i].step(blob);
    const own = seed ?? (job.seed === undefined ? undefined : job.seed + i);
    const picture = { blob, prompt: job.title, settings: job.settings, seed: own, kind: job.kind, at: Date.now(), batch };
    done[i] = picture;
    shown = done.filter(Boolean);
    keepPicture(picture);
    slots[i].finish(picture);
  };
  const onWait = (s) => mine === running && say($('drawn-state'), 'waiting', { s });
  const onUnread = (letter) => mine === running && toast(t('unread', { letter }));
  try {
    const finals = await pictures(job.path, { json: job.json, form: job.form, signal: mine.signal, onWait, onUnread }, came);
    if (finals < job.n) throw new Refusal(t('err_cut'));
  } catch (error) {
    if (mine === running) failed(error, job, slots, before, beforeTitle);
  }
  if (mine !== running) return;
  running = null;
  drawButton(false);
  await Promise.all(slots.map((s) => s.turn));
  if (shown.length < job.n) return;
  const values = { n: job.n, s: ((performance.now() - begun) / 1000).toFixed(1) };
  say($('drawn-state'), 'drawn', values);
  speak(t('drawn', values));
}

function failed(error, job, slots, before, beforeTitle) {
  for (const s of slots) s.turn.then(() => s.node.querySelector('progress') && s.node.remove());
  const cancelled = error.name === 'AbortError';
  plain($('drawn-state'), '');
  if (cancelled) speak(t('cancelled'));
  if (cancelled) say($('drawn-state'), 'cancelled');
  else showError($('drawn-error'), error, () => run(job));
  if (shown.length || !cancelled) return;
  if (before.length) {
    showPast(before);
    plain($('drawn-title'), beforeTitle);
    say($('drawn-state'), 'cancelled');
  } else {
    $('drawn').hidden = true;
    $('empty').hidden = false;
    toast(t('cancelled'));
  }
}

// What every job that draws says, whatever it starts from.
function drawing(s, n, seed, pixels = 0) {
  const fields = {
    n, seed, steps: s.steps, guidance: s.guidance, response_format: 'b64_json', output_format: 'png', stream: true,
    partial_images: pixels > 512 * 512 ? 2 : kPreviews,  // large previews would be more to send than to draw
  };
  if (s.negative) fields.negative_prompt = s.negative;
  if (s.style) fields.style = s.style;
  if (s.clean === false) fields.finish = 'raw';
  if (s.best && s.prompt && !ownSeed()) fields.best_of = kBestOf;
  return fields;
}

function draw() {
  const s = settings();
  if (!s.prompt) {
    toast(t('nothing_to_draw'));
    return $('prompt').focus();
  }
  let seed;
  try {
    seed = takeSeed();
  } catch (e) {
    toast(e.message);
    return $('seed').focus();
  }
  const n = count();
  const [width, height] = s.size.split('x');
  const json = { prompt: s.prompt, ...drawing(s, n, seed, width * height || 0), background: s.transparent ? 'transparent' : 'opaque' };
  if (s.size) json.size = s.size;
  run({ path: '/v1/images/generations', title: s.prompt, n, settings: s, seed, kind: 'draw', json });
}

function form(fields) {
  const f = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Blob) f.append(name, value, `${name}.png`);
    else if (value !== '' && value !== undefined) f.append(name, String(value));
  }
  return f;
}

// The file as the server takes it; says so if it had to be made smaller.
async function fit(picture) {
  const { blob, width, height, same } = await fitted(picture.blob, kMostSide);
  if (!same) toast(t('resized', { w: width, h: height }));
  return [blob, width * height];
}

async function vary(picture) {
  goTo('create');
  try {
    setSource(picture);
    const [image, pixels] = await fit(picture);
    const n = count(), strength = Number($('strength').value);
    const s = { ...settings(), prompt: picture.prompt || '', style: picture.settings?.style || '', size: '' };
    const seed = takeSeed();
    run({
      path: '/v1/images/variations', title: picture.prompt || picture.name || '', n, settings: s, seed, kind: 'vary',
      form: form({ image, strength, prompt: s.prompt, ...drawing(s, n, seed, pixels) }),
    });
  } catch (e) {
    toast(e.message);
  }
}

async function change(picture) {
  goTo('create');
  try {
    const [image, pixels] = await fit(picture);
    const told = await paint(image, picture.prompt || '');
    if (!told) return;
    const s = { ...settings(), prompt: told.prompt, size: '' };
    const seed = takeSeed(), n = count();
    const fields = form({ image, mask: told.mask, prompt: told.prompt, ...drawing(s, n, seed, pixels) });
    run({ path: '/v1/images/edits', title: told.prompt, n, settings: s, seed, kind: 'edit', form: fields });
  } catch (e) {
    toast(e.message);
  }
}

function use(picture) {
  goTo('create');
  fill({ ...picture.settings, seed: picture.seed });
  if (picture.seed !== undefined && picture.seed !== null) lock(true);
  $('prompt').focus();
}

function setSource(picture) {
  const strength = $('strength')?.value ?? '0.5';
  const slider = el('input', { id: 'strength', type: 'range', min: '0.1', max: '0.9', step: '0.05', value: strength });
  const button = (name, key, what) => wordButton(name, key, () => act(what, picture));
  $('source').replaceChildren(
    el('div.sourcehead', {}, el('span.thumb.check', {}, el('img', { src: urlOf(picture), alt: '' })),
       el('div', {}, say(el('h2'), 'source'), el('p.quiet', {}, picture.name || picture.prompt || '')),
       iconButton('close', 'source_remove', clearSource)),
    el('div.field.range', {}, say(el('label', { htmlFor: 'strength' }), 'strength'), slider),
    el('div.sourceacts', {}, button('vary', 'vary', 'vary'), button('change', 'change', 'change'),
       button('describe', 'describe_this', 'describe')));
  $('source').hidden = false;
}

function clearSource() {
  $('source').hidden = true;
  $('source').replaceChildren();
  $('prompt').focus();
}

// A picture given to Create: its settings come back if it carries any; it becomes the starting picture.
export async function openFile(file) {
  try {
    await openPicture(file);
    const picture = { blob: file, name: file.name };
    if (file.type === 'image/png') {
      const info = await askJson('/sdapi/v1/png-info', { json: { image: await base64Of(file) } }).catch((e) => {
        if (e.status >= 400 && e.status < 500 && e.status !== 401 && e.status !== 429) return {};
        throw e;
      });
      const s = settingsOf(info);
      if (s) {
        Object.assign(picture, { settings: s, prompt: s.prompt, seed: s.seed });
        use(picture);
      }
    }
    setSource(picture);
    toast(t(picture.settings ? 'settings_back' : 'no_settings', { name: file.name }));
  } catch (e) {
    toast(e.message);
  }
}

export function showTries() {
  $('tries').replaceChildren(...kTries[document.documentElement.lang === 'ko' ? 'ko' : 'en'].map((words) =>
    el('button.plain', { type: 'button', lang: document.documentElement.lang, onclick: () => (fill({ ...settings(), prompt: words }), draw()) }, words)));
}

async function lastBatch() {
  const list = await store.newest(Infinity, 9);
  const last = list.filter((p) => p.batch === list[0].batch).reverse();
  if (last.length && !running) showPast(last);
}

function removed(id) {
  shown.find((p) => p.id === id)?.tile.remove();
  shown = shown.filter((p) => p.id !== id);
  if (shown.length || running) return;
  $('drawn').hidden = true;
  $('empty').hidden = false;
}

export function startCreate(go) {
  goTo = go;
  startForm();
  showTries();
  onAct({ vary, change, use });
  $('form').addEventListener('submit', (e) => {
    e.preventDefault();
    if (!running) draw();
    else if (performance.now() - begun > 400) running.abort();  // a double click draws; it does not cancel
  });
  document.addEventListener('keydown', (e) => {
    if ((e.ctrlKey || e.metaKey) && e.key === 'Enter' && !$('create').hidden && !document.querySelector('dialog[open]')) {
      e.preventDefault();
      if (!running) draw();
    }
    if (e.key === 'Escape' && running && !document.querySelector('dialog[open]')) running.abort();
  });
  $('drawn-cancel').onclick = () => running?.abort();
  document.addEventListener('duet:removed', (e) => removed(e.detail));
  $('open').onclick = async () => {
    const [file] = await chooseFiles();
    if (file) openFile(file);
  };
  lastBatch().catch(() => {});
}

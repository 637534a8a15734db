// Find: pictures of a folder, embedded by the server, ranked by likeness to words or to a picture. The ranking is done
// here; vectors are kept in the browser so that a folder opened again is searched at once.
import { askJson, dataUrl } from './api.js';
import { $, chooseFiles, el, iconButton, speak, toast } from './dom.js';
import { isPicture, openPicture, scaled, sendable } from './picture.js';
import * as store from './store.js';
import { plain, say, t } from './strings.js';
import { act, onAct, tile, view } from './viewer.js';

const kBatch = 8;      // pictures a request
const kPage = 60;      // pictures shown at first, and more at a time
const kThumb = 360;    // longest side of what is shown in the wall
const kSent = 512;     // longest side of what is sent

let items = [];        // {blob, name, url, vector, node}
let query = null;      // {vector, words?, picture?}
let queries = 0;       // the latest query asked; an older answer is dropped
let limit = kPage;
let stopper = null;
let bad = 0, todo = 0;
let model = '';

export const setModel = (id) => (model = id);

function unit(list) {
  const v = Float32Array.from(list);
  const length = Math.hypot(...v) || 1;
  return v.map((x) => x / length);
}

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

async function embed(input, signal) {
  const json = { input, encoding_format: 'float' };
  if (model) json.model = model;
  const answer = await askJson('/v1/embeddings', { json, signal, onWait: (s) => say($('find-state'), 'waiting', { s }) });
  return [...answer.data].sort((a, b) => a.index - b.index).map((d) => unit(d.embedding));
}

const keyOf = (file) => [model, file.webkitRelativePath || file.name, file.size, file.lastModified].join('|');
const pictureInput = async (file) => ({ image: await dataUrl((await sendable(file, kSent)).blob) });

async function thumbUrl(file) {
  const img = await openPicture(file);
  const by = kThumb / Math.max(img.naturalWidth, img.naturalHeight);
  if (by >= 1) return URL.createObjectURL(file);
  const side = (n) => Math.max(1, Math.round(n * by));
  return URL.createObjectURL(await scaled(img, side(img.naturalWidth), side(img.naturalHeight)));
}

function itemTile(item) {
  const open = () => view(ranked(), ranked().indexOf(item));
  const like = iconButton('find', 'similar', () => act('similar', item));
  item.score = el('span.score.mono');
  const node = tile(item, open, like);
  node.append(el('div.under', {}, el('span.name', { title: item.name }, item.name), item.score));
  return node;
}

function ranked() {
  if (!query) return items;
  for (const i of items) i.cosine = dot(i.vector, query.vector);
  return [...items].sort((a, b) => b.cosine - a.cosine);
}

function show() {
  const list = ranked();
  for (const i of list.slice(0, limit)) {
    i.node ??= itemTile(i);
    plain(i.score, query ? i.cosine.toFixed(2) : '');
    i.score.title = query ? t('score', { s: i.cosine.toFixed(4) }) : '';
  }
  $('found').replaceChildren(...list.slice(0, limit).map((i) => i.node));
  $('find-more').hidden = list.length <= limit;
  $('find-drop').hidden = items.length > 0 || todo > 0;
  $('find-clear').hidden = items.length === 0;
  $('find-stop').hidden = !stopper;
}

function showState(quiet = false) {
  const values = { done: items.length, n: stopper ? items.length + todo : items.length, bad };
  if (stopper) say($('find-state'), 'indexing', values);
  else if (!items.length) plain($('find-state'), '');
  else if (query) say($('find-state'), query.words ? 'ranked' : 'ranked_by', { n: items.length, query: query.words });
  else say($('find-state'), bad ? 'indexed_bad' : 'indexed', values);
  if (!quiet) speak($('find-state').textContent);
}

// The vectors of some files in one request; where the server refuses the lot, one by one, so that one bad picture costs
// only itself. null: that one was refused.
async function vectorsOf(files, signal) {
  const inputs = await Promise.all(files.map((f) => pictureInput(f).catch(() => null)));
  const good = inputs.filter(Boolean);
  let vectors = [];
  try {
    if (good.length) vectors = await embed(good, signal);
  } catch (e) {
    if (!(e.status >= 400 && e.status < 500) || e.status === 401 || e.status === 429) throw e;
    for (const input of good) vectors.push(good.length === 1 ? null : await embed([input], signal).then((v) => v[0], () => null));
  }
  return inputs.map((input) => (input ? vectors.shift() : null));
}

async function addBatch(files, signal) {
  const kept = await Promise.all(files.map((f) => store.get('vectors', keyOf(f)).catch(() => null)));
  const fresh = files.filter((_, i) => !kept[i]);
  const vectors = fresh.length ? await vectorsOf(fresh, signal) : [];
  for (const [i, file] of files.entries()) {
    const vector = kept[i]?.vector ?? vectors.shift();
    --todo;
    try {
      if (!vector) throw new Error();
      items.push({ blob: file, name: file.webkitRelativePath || file.name, url: await thumbUrl(file), vector });
      if (!kept[i]) store.put('vectors', { key: keyOf(file), vector }).catch(() => {});
    } catch {
      ++bad;
    }
  }
}

export async function addFiles(files) {
  if (!files.length) return;
  const known = new Set(items.map((i) => keyOf(i.blob)));
  const good = files.filter((f) => isPicture(f) && !known.has(keyOf(f)));
  if (!files.some(isPicture)) toast(t('no_pictures'));
  if (!good.length) return;
  stopper?.abort();
  const mine = (stopper = new AbortController());
  bad = 0;
  todo = good.length;
  show();
  showState();
  try {
    for (let at = 0; at < good.length && !mine.signal.aborted; at += kBatch) {
      await addBatch(good.slice(at, at + kBatch), mine.signal);
      if (mine !== stopper) return;
      show();
      showState(true);
    }
  } catch (e) {
    if (e.name !== 'AbortError') toast(e.message);
  }
  if (mine !== stopper) return;
  stopper = null;
  todo = 0;
  show();
  showState();
}

async function search(input, about) {
  const mine = ++queries;
  try {
    const [vector] = await embed([input]);
    if (mine !== queries) return;
    query = { vector, ...about };
    limit = kPage;
    show();
    showState();
  } catch (e) {
    toast(e.message);
  }
}

function showQueryPicture(picture) {
  const off = iconButton('close', 'query_remove', () => {
    showQueryPicture(null);
    query = null;
    ++queries;
    show();
    showState();
    $('query').focus();
  });
  $('find-picture').hidden = !picture;
  $('find-picture').replaceChildren();
  if (picture) $('find-picture').append(el('img', { src: URL.createObjectURL(picture.blob), alt: picture.name || '' }), off);
}

async function searchBy(picture) {
  try {
    const input = await pictureInput(picture.blob);
    $('query').value = '';
    showQueryPicture(picture);
    await search(input, { picture });
  } catch (e) {
    toast(e.message);
  }
}

function searchWords() {
  const words = $('query').value.trim();
  if (words) {
    showQueryPicture(null);
    search(words, { words });
  } else if (!query?.picture) {
    query = null;
    ++queries;
    show();
    showState();
  }
}

function clearAll() {
  stopper?.abort();
  stopper = null;
  items = [];
  todo = bad = 0;
  show();
  showState();
  $('find-folder').focus();
}

export function startFind(go) {
  const folder = async () => addFiles(await chooseFiles({ folder: true, many: true }));
  $('find-folder').onclick = $('find-drop').onclick = folder;
  $('find-choose').onclick = async () => addFiles(await chooseFiles({ many: true }));
  $('find-by').onclick = async () => {
    const [file] = await chooseFiles();
    if (file) searchBy({ blob: file, name: file.name });
  };
  $('find-form').addEventListener('submit', (e) => (e.preventDefault(), searchWords()));
  $('query').addEventListener('search', searchWords);
  $('find-more').onclick = () => ((limit += kPage), show());
  $('find-stop').onclick = () => stopper?.abort();
  $('find-clear').onclick = clearAll;
  // A picture dropped on the search bar is looked for; anywhere else it is added.
  $('find-form').addEventListener('drop', (e) => {
    const file = [...(e.dataTransfer?.files || [])].find(isPicture);
    if (!file) return;
    e.preventDefault();
    e.stopPropagation();
    document.dispatchEvent(new CustomEvent('duet:dropped'));
    searchBy({ blob: file, name: file.name });
  });
  onAct({ similar: (picture) => (go('find'), searchBy(picture)) });
}

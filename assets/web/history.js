// History: every drawn picture, kept in this browser until it is deleted.
import { $, recall, remember, speak, sure, toast } from './dom.js';
import * as store from './store.js';
import { alt, label, plain, say, t } from './strings.js';
import { onAct, quick, tile, view } from './viewer.js';

const kPage = 48;

let list = [];       // what is shown, the newest first
let stale = true;    // drawn or deleted since it was shown
let loads = 0;

const words = () => $('history-query').value.trim().toLowerCase();
const fits = (q) => (p) => !q || (p.prompt || '').toLowerCase().includes(q);

function pastTile(picture) {
  const node = tile(picture, () => view(list, list.indexOf(picture)), quick('save', 'download', 'download', picture),
                    quick('vary', 'vary', 'vary', picture), quick('remove', 'delete', 'remove', picture));
  label(node.querySelector('.look'), 'open_large', { i: list.indexOf(picture) + 1 });
  alt(node.querySelector('img'), 'picture_of', { i: list.indexOf(picture) + 1, n: list.length, prompt: picture.prompt });
  return node;
}

async function showState() {
  const n = await store.count('pictures');
  const usable = await store.usable();
  $('history-tools').hidden = n === 0;
  $('history-empty').hidden = n !== 0;
  if (!usable) say($('history-state'), 'history_off');
  else if (n && words() && !list.length) say($('history-state'), 'none_match', { q: words() });
  else if (n) say($('history-state'), 'history_count', { n });
  else plain($('history-state'), '');
}

async function load(more) {
  const mine = ++loads;
  const before = more && list.length ? list[list.length - 1].id : Infinity;
  const page = await store.newest(before, kPage, fits(words()));
  if (mine !== loads) return;
  if (!more) {
    for (const p of list) URL.revokeObjectURL(p.url);
    $('past').replaceChildren();
    list = [];
  }
  list.push(...page);
  $('past').append(...page.map(pastTile));
  $('history-more').hidden = page.length < kPage;
  stale = false;
  await showState();
}

export async function showHistory() {
  if (stale) await load(false);
}

// Gone at once; Undo puts it back where it was.
async function removeOne(picture) {
  const kept = await store.get('pictures', picture.id);
  await store.remove('pictures', picture.id);
  document.dispatchEvent(new CustomEvent('duet:removed', { detail: picture.id }));
  stale = true;
  if (!$('history').hidden) await load(false);
  speak(t('deleted'));
  toast(t('deleted'), kept && (async () => {
    await store.put('pictures', kept);
    stale = true;
    if (!$('history').hidden) await load(false);
  }));
}

async function removeAll() {
  if (!(await sure('delete_all_ask', { n: await store.count('pictures') }))) return;
  const ids = (await store.all('pictures')).map((p) => p.id);
  await store.clear('pictures');
  for (const id of ids) document.dispatchEvent(new CustomEvent('duet:removed', { detail: id }));
  await load(false);
  speak(t('deleted'));
}

export function startHistory() {
  onAct({ remove: removeOne });
  let timer = 0;
  $('history-query').addEventListener('input', () => (clearTimeout(timer), (timer = setTimeout(() => load(false), 150))));
  $('history-clear').onclick = removeAll;
  $('history-more').onclick = () => load(true);
  document.addEventListener('duet:added', () => {
    stale = true;
    // Asked once, after the first picture: what is kept should outlive a full disk.
    if (!recall('persist')) remember('persist', 'asked'), navigator.storage?.persist?.();
  });
}

// A picture, large, with what is known of it and what can be done with it.
import { $, download, el, recall, toast, wordButton, iconButton } from './dom.js';
import { marked } from './picture.js';
import { lang, plain, say, styleName, t } from './strings.js';

// A shown picture: {blob, name?, prompt?, settings?, seed?, kind?, at?, id?}. Drawn ones have `settings`.
const hooks = {};  // vary, change, use, describe, remove, similar: set by the views that do them
export const onAct = (given) => Object.assign(hooks, given);

let list = [], at = 0, url = '';

export function urlOf(picture) {
  picture.url ??= URL.createObjectURL(picture.blob);
  return picture.url;
}

export function fileName(picture) {
  const words = (picture.prompt || '').normalize('NFC').toLowerCase().match(/[\p{L}\p{N}]+/gu) || [];
  const stem = words.join('-').slice(0, 48) || 'picture';
  return picture.name || `duet-${stem}${picture.seed === undefined || picture.seed === null ? '' : `-${picture.seed}`}.png`;
}

export async function save(picture) {
  download(recall('mark') === 'on' && picture.settings ? await marked(picture.blob) : picture.blob, fileName(picture));
}

export function act(name, picture) {
  if ($('viewer').open) $('viewer').close();
  hooks[name](picture);
}

function fact(key, value, extra) {
  return value === undefined || value === null || value === '' ? [] : [say(el('dt'), key), el('dd', {}, String(value), extra)];
}

async function copySeed(picture) {
  try {
    await navigator.clipboard.writeText(String(picture.seed));
    toast(t('copied'));
  } catch { /* no clipboard on a plain-http address: the seed is there to be marked by hand */ }
}

function facts(picture) {
  const s = picture.settings || {};
  const copy = iconButton('copy', 'copy_seed', () => copySeed(picture));
  const when = picture.at ? new Date(picture.at).toLocaleString(lang(), { dateStyle: 'medium', timeStyle: 'short' }) : '';
  $('view-facts').replaceChildren(
    ...fact('name', picture.name), ...fact('negative', s.negative), ...fact('style', styleName(s.style)),
    ...fact('kind', picture.kind === 'edit' || picture.kind === 'vary' ? t(`kind_${picture.kind}`) : ''),
    ...fact('size', picture.width && `${picture.width} × ${picture.height}`), ...fact('seed', picture.seed, copy),
    ...fact('steps', s.steps), ...fact('guidance_short', s.guidance), ...fact('made', when));
}

function actions(picture) {
  const button = (icon, key, name) => wordButton(icon, key, () => act(name, picture));
  const go = [wordButton('download', 'download', () => save(picture)), button('vary', 'vary', 'vary'), button('change', 'change', 'change')];
  if (picture.settings) go.push(button('restore', 'use_settings', 'use'));
  go.push(button('describe', 'describe_this', 'describe'));
  if (!picture.settings) go.splice(0, 1, button('find', 'similar', 'similar'));
  if (picture.id) go.push(button('delete', 'remove', 'remove'));
  $('view-actions').replaceChildren(...go);
}

function show() {
  const picture = list[at];
  URL.revokeObjectURL(url);
  url = URL.createObjectURL(picture.blob);
  const img = $('view-img');
  img.onload = () => {
    img.style.setProperty('--ratio', img.naturalWidth / img.naturalHeight);
    picture.width = img.naturalWidth;
    picture.height = img.naturalHeight;
    facts(picture);
  };
  img.src = url;
  img.alt = picture.prompt || picture.name || t('viewer');
  plain($('view-title'), picture.prompt || picture.name || t('viewer'));
  $('view-ai').hidden = !picture.settings;
  facts(picture);
  actions(picture);
  $('view-left').hidden = at === 0;
  $('view-right').hidden = at + 1 >= list.length;
}

function step(by) {
  if (!list[at + by]) return;
  at += by;
  show();
}

export function view(pictures, index) {
  list = pictures;
  at = index;
  show();
  if (!$('viewer').open) $('viewer').showModal();
  $('view-close').focus();
}

export function startViewer() {
  $('view-left').onclick = () => step(-1);
  $('view-right').onclick = () => step(1);
  $('view-close').onclick = () => $('viewer').close();
  $('viewer').addEventListener('keydown', (e) => {
    if (e.key === 'ArrowLeft') step(-1);
    if (e.key === 'ArrowRight') step(1);
  });
  // A click beside the picture closes it, as people expect.
  $('viewer').addEventListener('click', (e) => {
    if (e.target === $('viewer')) $('viewer').close();
  });
}

// A tile of a wall: the picture as a button, the AI label, and the actions that fit on it.
export function tile(picture, open, ...more) {
  const img = el('img', { src: urlOf(picture), alt: picture.prompt || picture.name || '', loading: 'lazy', decoding: 'async' });
  const button = el('button.look.check', { type: 'button', onclick: open }, img);
  const row = el('div.quick', {}, ...more);
  return el('li.tile', {}, button, picture.settings ? say(el('span.badge'), 'ai_made') : null, row);
}

export const quick = (name, icon, key, picture) =>
  iconButton(icon, key, () => (name === 'save' ? save(picture) : act(name, picture)));

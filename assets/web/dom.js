// Building elements, and the small things every view shares: icons, toasts, the spoken status, files, dialogs.
import { plain, say, t, tip } from './strings.js';

export const $ = (id) => document.getElementById(id);

// el('button.plain', {type: 'button', onclick: f}, child...): an element with classes, properties or attributes, and
// children. A child that is a string becomes text: markup in it stays text.
export function el(what, props = {}, ...children) {
  const [tag, ...classes] = what.split('.');
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(' ');
  for (const [name, value] of Object.entries(props)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

const kSvg = 'http://www.w3.org/2000/svg';

export function icon(name) {
  const svg = document.createElementNS(kSvg, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(kSvg, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

export const iconButton = (name, key, onclick, values) =>
  tip(el('button.tool', { type: 'button', onclick }, icon(name)), key, values);

export const wordButton = (name, key, onclick) =>
  el('button.plain', { type: 'button', onclick }, icon(name), say(el('span'), key));

// For people who listen: replaces what was said before.
export function speak(text) {
  plain($('spoken'), text);
}

// A line at the foot of the page; `undo` adds a button that calls it.
export function toast(text, undo) {
  const box = el('div.toast', {}, el('span', {}, text));
  const gone = () => box.remove();
  const timer = setTimeout(gone, undo ? 8000 : 4500);
  if (undo)
    box.append(say(el('button.link', { type: 'button', onclick: () => (clearTimeout(timer), gone(), undo()) }), 'undo'));
  $('toasts').append(box);
  while ($('toasts').children.length > 3) $('toasts').firstChild.remove();
}

// What went wrong, in words; with a button to try again and the request's id to hand on.
export function showError(box, error, again) {
  box.replaceChildren(el('p', {}, error.message));
  if (error.id) box.append(el('p.quiet.mono', {}, t('err_id', { id: error.id })));
  if (again) box.append(say(el('button.plain', { type: 'button', onclick: () => ((box.hidden = true), again()) }), 'retry'));
  box.hidden = false;
}

// The files that a person chooses; none if they think better of it.
export function chooseFiles({ many = false, folder = false } = {}) {
  return new Promise((done) => {
    const input = el('input', { type: 'file', multiple: many, webkitdirectory: folder, hidden: true });
    if (!folder) input.accept = 'image/*';
    const end = (files) => (input.remove(), done(files));
    input.addEventListener('change', () => end([...input.files]));
    input.addEventListener('cancel', () => end([]));
    document.body.append(input);
    input.click();
  });
}

export function download(blob, name) {
  const a = el('a', { href: URL.createObjectURL(blob), download: name, hidden: true });
  document.body.append(a);
  a.click();
  a.remove();
  setTimeout(() => URL.revokeObjectURL(a.href), 60000);
}

export function sure(key, values) {
  return new Promise((done) => {
    say($('sure-text'), key, values);
    const end = (answer) => () => ($('sure').close(), done(answer));
    $('sure-yes').onclick = end(true);
    $('sure-no').onclick = end(false);
    $('sure').oncancel = () => done(false);
    $('sure').showModal();
    $('sure-no').focus();
  });
}

export function remember(name, value) {
  try {
    localStorage.setItem(`duet.${name}`, value);
  } catch { /* storage is off: the choice lasts until the reload */ }
}

export function recall(name) {
  try {
    return localStorage.getItem(`duet.${name}`);
  } catch {
    return null;
  }
}

function entriesOf(folder) {
  const reader = folder.createReader();
  const list = [];
  return new Promise((done) => {
    const next = () => reader.readEntries((some) => (some.length ? (list.push(...some), next()) : done(list)), () => done(list));
    next();
  });
}

async function filesOf(entry) {
  if (entry.isFile) return new Promise((done) => entry.file((f) => done([f]), () => done([])));
  const files = [];
  for (const e of await entriesOf(entry)) files.push(...(await filesOf(e)));
  return files;
}

// The files of a drop, those in dropped folders too. Entries must be taken before the first await: after it they are gone.
export async function plainFiles(transfer) {
  const entries = [...transfer.items].map((i) => i.webkitGetAsEntry?.()).filter(Boolean);
  const given = [...transfer.files];
  if (!entries.some((e) => e.isDirectory)) return given;
  const files = [];
  for (const e of entries) files.push(...(await filesOf(e)));
  return files;
}

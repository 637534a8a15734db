// What Create's form says: the settings of the next drawing, kept over reloads, and the seed with its lock.
import { $, el, recall, remember } from './dom.js';
import { label, nameStyle, plain, say, styleName, t, tip } from './strings.js';

const usual = { guidance: 5, steps: 24 };        // as `duet generate` has them; a model may want others
const kMostSeed = Number.MAX_SAFE_INTEGER - 991; // JSON keeps whole numbers up to 2^53; room for n pictures
const kShapes = [[1, 1], [1.5, 1], [1, 1.5], [2, 2]];  // sides offered, in the model's own

const kStyles = [  // where the server does not say what its model knows
  { name: 'emoji', name_ko: '이모지' }, { name: 'photo', name_ko: '사진' }, { name: 'drawing', name_ko: '그림' }, { name: 'cartoon', name_ko: '만화' },
];
const kLongestStyle = 64;

let styles = [];
let native = 0;  // the side the model was trained at; 0: the server does not say

const radio = (name) => $('form').elements[name];
const ranges = ['guidance', 'steps'];

const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];
const locked = () => $('lock').getAttribute('aria-pressed') === 'true';

// What is locked is a picture's own seed, or one that somebody wrote: it is to draw that picture, not the best of several.
// A seed by chance that is kept after drawing is to draw the same pictures again, chosen as they were.
let own = false;
export const ownSeed = () => locked() && own;

export function lock(on) {
  $('lock').setAttribute('aria-pressed', String(on));
  $('lock').querySelector('use').setAttribute('href', on ? '#i-locked' : '#i-open');
  keep();
}

// The seed to draw with: what is written if it is locked, else a new one, which is then shown.
// Throws, in words, if what is written is no seed.
export function takeSeed() {
  const text = $('seed').value.trim();
  if (!locked() || !text) $('seed').value = String(randomSeed()), own = false;
  const seed = Number($('seed').value);
  if (!/^\d+$/.test($('seed').value.trim()) || seed > kMostSeed) throw new Error(t('seed_bad'));
  return seed;
}

export const count = () => Number(radio('count').value);

export function settings() {
  const side = $('size').value;
  return {
    prompt: $('prompt').value.trim(), negative: $('negative').value.trim(), style: radio('style').value,
    size: side, steps: Number($('steps').value), guidance: Number($('guidance').value), transparent: $('transparent').checked,
    clean: $('clean').checked, best: $('best').checked,
  };
}

function fillSizes(also) {
  const was = also || $('size').value;
  const side = (n) => Math.round((n * (native || 64)) / 8) * 8;
  const sizes = kShapes.map(([w, h]) => `${side(w)}x${side(h)}`);
  if (was && !sizes.includes(was)) sizes.push(was);
  const auto = document.createElement('option');
  auto.value = '';
  say(auto, 'size_auto');
  $('size').replaceChildren(auto, ...sizes.map((s) => new Option(s.replace('x', ' × '), s)));
  $('size').value = was;
}

export function setNative(side) {
  native = side;
  fillSizes();
}

// What the model wants to be drawn with, where nobody chose otherwise.
export function setUsual(sampling) {
  for (const name of ranges) {
    const now = Number(sampling?.[name]), was = Number(recall(`usual-${name}`) || usual[name]);
    if (!(now > 0)) continue;
    if (Number($(name).value) === was) $(name).value = now;
    usual[name] = now;
    remember(`usual-${name}`, String(now));
  }
  showRanges();
  keep();
}

// A chip for each style, and for `asked` where it is another: a picture's own, of other weights.
export function showStyles(asked = radio('style')?.value || '') {
  const chip = (value, name) => el('label', {}, el('input', { type: 'radio', name: 'style', value, checked: value === asked }), name);
  const all = asked && !styles.includes(asked) ? [...styles, asked] : styles;
  $('styles').replaceChildren($('styles').querySelector('legend'), chip('', say(el('span'), 'style_any')),
    ...all.map((s) => chip(s, plain(el('span'), styleName(s)))));
}

// What /v1/models says that the model knows.
export function setStyles(known) {
  const told = (Array.isArray(known) ? known : []).filter((s) => typeof s?.name === 'string' && s.name);
  const list = told.length ? told : kStyles;
  for (const s of list) nameStyle(s.name, s.name_ko);
  styles = list.map((s) => s.name);
  showStyles();
}

function showRanges() {
  for (const name of ranges) $(`${name}-now`).textContent = $(name).value;
}

// Fills the form; what `s` does not say stays, but for words, which are cleared.
export function fill(s) {
  $('prompt').value = s.prompt || '';
  $('negative').value = s.negative || '';
  showStyles(typeof s.style === 'string' ? s.style.slice(0, kLongestStyle) : '');
  for (const name of ranges) if (s[name] !== undefined) $(name).value = s[name];
  const size = s.size ?? (s.width && s.height ? `${s.width}x${s.height}` : undefined);
  if (size !== undefined) fillSizes(/^\d{1,4}x\d{1,4}$/.test(size) ? size : '');
  if (size === '') $('size').value = '';
  for (const name of ['transparent', 'clean', 'best']) if (s[name] !== undefined) $(name).checked = s[name];
  if (s.count) radio('count').value = String(s.count);
  if (s.seed !== undefined && s.seed !== null) $('seed').value = String(s.seed), own = s.own ?? true;
  showRanges();
  keep();
}

function keep() {
  remember('draft', JSON.stringify({ ...settings(), seed: $('seed').value, count: count(), locked: locked(), own }));
}

function restore() {
  try {
    const draft = JSON.parse(recall('draft'));
    if (draft) fill(draft), lock(draft.locked === true);
  } catch { /* a draft of another version: start afresh */ }
}

export function startForm() {
  fillSizes();
  setStyles([]);
  restore();
  showRanges();
  $('cornermark').checked = recall('mark') === 'on';
  $('cornermark').onchange = () => remember('mark', $('cornermark').checked ? 'on' : 'off');
  $('lock').onclick = () => lock(!locked());
  $('dice').onclick = () => (($('seed').value = String(randomSeed())), (own = false), keep());
  $('seed').oninput = () => ((own = true), lock($('seed').value !== ''));
  $('form').addEventListener('input', () => (showRanges(), keep()));
  $('defaults').onclick = () => fill({ ...settings(), ...usual, negative: '', size: '', transparent: true, clean: true, best: true });
  label($('lock'), 'seed_lock');
  tip($('lock'), 'seed_lock');
}

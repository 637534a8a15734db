// The page as a whole: tabs, language, theme, the server's state, the key, and what is dropped or pasted on it.
import { askJson, onKeyNeeded } from './api.js';
import { startCreate, openFile, showTries } from './create.js';
import * as describe from './describe.js';
import { $, plainFiles, remember } from './dom.js';
import * as find from './find.js';
import { setNative, setStyles, setUsual, showStyles } from './form.js';
import { showHistory, startHistory } from './history.js';
import { startMask } from './mask.js';
import { lang, plain, say, t, tip, translate } from './strings.js';
import { fileName, onAct, startViewer } from './viewer.js';

const kViews = ['create', 'describe', 'find', 'history'];
const kThemes = ['auto', 'light', 'dark'];
const kLook = 30000;  // ms between looks at a server that did not answer

const now = () => kViews.find((v) => !$(v).hidden);

const showTitle = () => (document.title = now() === 'create' ? 'duet' : `${t(now())} · duet`);

function go(view, focus = false) {
  for (const v of kViews) {
    const on = v === view;
    $(v).hidden = !on;
    $(`tab-${v}`).setAttribute('aria-selected', String(on));
    $(`tab-${v}`).tabIndex = on ? 0 : -1;
  }
  if (focus) $(`tab-${view}`).focus();
  if (location.hash !== `#/${view}`) history.replaceState(null, '', `#/${view}`);
  showTitle();
  if (view === 'history') showHistory();
}

// Tabs as the ARIA Authoring Practices have them: arrows move and choose, Home and End go to the ends.
function startTabs() {
  for (const v of kViews) $(`tab-${v}`).onclick = () => go(v);
  document.querySelector('[role=tablist]').addEventListener('keydown', (e) => {
    const at = kViews.indexOf(now()), n = kViews.length;
    const to = { ArrowRight: (at + 1) % n, ArrowLeft: (at + n - 1) % n, Home: 0, End: n - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    go(kViews[to], true);
  });
  const follow = () => go(kViews.find((v) => location.hash === `#/${v}`) ?? 'create');
  addEventListener('hashchange', follow);
  follow();
}

function startLanguage() {
  const show = () => {
    translate();
    // The button speaks the language it leads to, for those who cannot read this one.
    plain($('language'), lang() === 'ko' ? 'EN' : '한국어');
    tip($('language'), 'language');
    $('language').lang = lang() === 'ko' ? 'en' : 'ko';
    showTries();
    showStyles();
    showTitle();
  };
  $('language').onclick = () => {
    document.documentElement.lang = lang() === 'ko' ? 'en' : 'ko';
    remember('lang', lang());
    show();
  };
  show();
}

function startTheme() {
  const show = () => tip($('theme'), 'theme', { now: t(`theme_${document.documentElement.dataset.theme || 'auto'}`) });
  $('theme').onclick = () => {
    const theme = kThemes[(kThemes.indexOf(document.documentElement.dataset.theme || 'auto') + 1) % kThemes.length];
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    remember('theme', theme);
    show();
  };
  show();
  $('language').addEventListener('click', show);
}

async function lookForServer() {
  try {
    const { data } = await askJson('/v1/models');
    const model = data[0] || {};
    $('server').dataset.state = 'on';
    plain($('server').lastElementChild, model.id || 'duet');
    if (Number.isInteger(model.size) && model.size > 0) setNative(model.size);
    setUsual(model.sampling);
    setStyles(model.styles);
    describe.setModel(model.id || '');
    find.setModel(model.id || '');
  } catch (e) {
    $('server').dataset.state = 'off';
    // Whoever waves the key away is asked again when something needs it, not every half minute.
    if (e.status === 401) return void say($('server').lastElementChild, 'key_needed');
    say($('server').lastElementChild, 'offline');
    setTimeout(lookForServer, kLook);
  }
}

function askKey(wrong) {
  return new Promise((done) => {
    let given = null;
    $('key-error').hidden = !wrong;
    say($('key-error'), 'err_key');
    $('key-value').value = '';
    $('key-form').onsubmit = () => (given = $('key-value').value.trim());
    $('key-cancel').onclick = () => $('key').close();
    $('key').onclose = () => done(given);
    $('key').showModal();
  });
}

function take(files) {
  if (!files.length) return;
  const view = now();
  if (view === 'describe') return describe.addFiles(files);
  if (view === 'find') return find.addFiles(files);
  go('create');
  return openFile(files[0]);
}

function startDrops() {
  let depth = 0;  // dragenter and dragleave come for every element passed over
  const veil = (on) => ($('dropveil').hidden = !on);
  const holdsFiles = (e) => [...(e.dataTransfer?.types || [])].includes('Files');
  const open = () => document.querySelector('dialog[open]');
  addEventListener('dragenter', (e) => holdsFiles(e) && !open() && veil(++depth > 0));
  addEventListener('dragleave', (e) => holdsFiles(e) && !open() && veil((depth = Math.max(0, depth - 1)) > 0));
  addEventListener('dragover', (e) => holdsFiles(e) && e.preventDefault());
  document.addEventListener('duet:dropped', () => veil((depth = 0) > 0));
  addEventListener('drop', async (e) => {
    if (!holdsFiles(e)) return;
    e.preventDefault();
    veil((depth = 0) > 0);
    if (!open()) take(await plainFiles(e.dataTransfer));
  });
  addEventListener('paste', (e) => {
    const files = [...(e.clipboardData?.files || [])];
    if (files.length && !open()) e.preventDefault(), take(files);
  });
}

function start() {
  startViewer();
  startMask();
  startCreate(go);
  find.startFind(go);
  startHistory();
  onAct({ describe: (picture) => (go('describe'), describe.describeOne(picture, fileName(picture))) });
  onKeyNeeded(askKey);
  startLanguage();
  startTheme();
  startTabs();
  startDrops();
  describe.startDescribe();
  lookForServer();
  document.documentElement.classList.remove('wait');
}

start();

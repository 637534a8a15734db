// Runs before the first paint: the remembered theme and language, so that neither flashes. index.html says Create in
// English; any other page shows itself when app.js has put its words in, or after a second if that cannot be had.
(() => {
  const root = document.documentElement;
  let kept = {};
  try {
    kept = { theme: localStorage.getItem('duet.theme'), lang: localStorage.getItem('duet.lang') };
  } catch { /* storage is off: the system's theme and the browser's language */ }
  if (kept.theme === 'light' || kept.theme === 'dark') root.dataset.theme = kept.theme;
  const korean = (navigator.languages || [navigator.language]).find((l) => /^(ko|en)\b/.test(l)) || 'en';
  root.lang = kept.lang === 'ko' || kept.lang === 'en' ? kept.lang : korean.slice(0, 2);
  if (root.lang === 'en' && !/^#\/(?!create)/.test(location.hash)) return;
  root.classList.add('wait');
  setTimeout(() => root.classList.remove('wait'), 1000);
})();

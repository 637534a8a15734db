// Talks to `duet serve`: the OpenAI shapes, its server-sent events and its errors, the key, and waiting when it is busy.
import { lang, t } from './strings.js';
import { recall, remember } from './dom.js';

// What the server or the way to it refused: `message` is fit to be read by people.
export class Refusal extends Error {
  constructor(message, { status = 0, param = null, id = '' } = {}) {
    super(message);
    Object.assign(this, { status, param, id });
  }
}

let askKey = null;  // (wrong) -> the key a person gives, or null
let asking = null;  // many requests may meet a 401 at once; a person is asked once
export const onKeyNeeded = (f) => (askKey = f);

const kBusyTries = 8;

function pause(seconds, signal) {
  return new Promise((done, fail) => {
    const stop = () => (clearTimeout(timer), fail(new DOMException('', 'AbortError')));
    const timer = setTimeout(() => (signal?.removeEventListener('abort', stop), done()), seconds * 1000);
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
  });
}

async function refusal(response) {
  const id = response.headers.get('x-request-id') || '';
  let error = {};
  try {
    error = (await response.json()).error || {};
  } catch { /* a proxy's page, not ours: the status has to do */ }
  let message = typeof error.message === 'string' && error.message;
  if (!message) message = t('err_status', { status: response.status });
  if (response.status === 401) message = t('err_key');
  if (response.status === 429) message = t('err_busy');
  return new Refusal(message, { status: response.status, param: error.param, id });
}

async function once(path, { json, form, signal }) {
  const headers = { 'Accept-Language': lang() };
  const key = recall('key');
  if (key) headers.Authorization = `Bearer ${key}`;
  if (json) headers['Content-Type'] = 'application/json';
  try {
    return await fetch(path, {
      method: json || form ? 'POST' : 'GET',
      headers,
      body: json ? JSON.stringify(json) : form,
      signal,
      cache: 'no-store',
    });
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new Refusal(t('err_offline'));
  }
}

// The response, once it is a good one. `onWait(seconds)` is told of each pause while the server is busy.
export async function ask(path, options = {}) {
  let wrong = false;
  for (let tries = 0; ; ) {
    const response = await once(path, options);
    if (response.ok) return response;
    if (response.status === 401 && askKey) {
      asking ??= askKey(wrong).finally(() => (asking = null));
      const key = await asking;
      if (key) {
        remember('key', key);
        wrong = true;
        continue;
      }
    }
    const wait = Number(response.headers.get('retry-after'));
    if ((response.status === 429 || response.status === 503) && wait > 0 && ++tries < kBusyTries) {
      options.onWait?.(wait);
      await pause(Math.min(wait, 60), options.signal);
      continue;
    }
    throw await refusal(response);
  }
}

export const askJson = async (path, options) => (await ask(path, options)).json();

// The events of a text/event-stream (HTML Standard, 9.2.6): {event, data} with data parsed; ends at [DONE]. An event that
// holds an `error` is thrown.
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((e) => {
        throw e.name === 'AbortError' ? e : new Refusal(t('err_cut'));
      });
      rest += value ?? '';
      const blocks = rest.split(/\r?\n\r?\n/);
      rest = blocks.pop();  // an event without its empty line is not whole
      for (const block of blocks) {
        const lines = block.split(/\r?\n/);
        const data = lines.filter((l) => l.startsWith('data:')).map((l) => l.slice(5).trim()).join('\n');
        if (!data) continue;
        if (data === '[DONE]') return;
        const parsed = JSON.parse(data);
        if (parsed.error) throw new Refusal(parsed.error.message || t('err_cut'), { param: parsed.error.param });
        const name = lines.find((l) => l.startsWith('event:'))?.slice(6).trim();
        yield { event: name || parsed.type || '', data: parsed };
      }
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function bytesOf(base64) {
  const raw = atob(base64);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; ++i) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

export function dataUrl(blob) {
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => fail(reader.error);
    reader.readAsDataURL(blob);
  });
}

export const base64Of = async (blob) => (await dataUrl(blob)).split(',', 2)[1] || '';

// Pictures as they come: onPicture(index, PNG blob, seed or null, final). Takes a stream of events or one JSON answer.
// options.onUnread(letter): the prompt holds one that the model never learned to read.
export async function pictures(path, options, onPicture) {
  const response = await ask(path, options);
  const unread = /^U\+([0-9A-F]{4,6})/.exec(response.headers.get('x-duet-unread') || '');
  if (unread) options.onUnread?.(String.fromCodePoint(parseInt(unread[1], 16)));
  const png = (b64) => new Blob([bytesOf(b64)], { type: 'image/png' });
  if (!(response.headers.get('content-type') || '').startsWith('text/event-stream')) {
    const answer = await response.json();
    answer.data.forEach((d, i) => onPicture(i, png(d.b64_json), d.seed ?? null, true));
    return answer.data.length;
  }
  let finals = 0;
  for await (const { event, data } of events(response)) {
    if (!data.b64_json) continue;
    const final = event.endsWith('.completed');
    finals += final;
    onPicture(data.index ?? 0, png(data.b64_json), data.seed ?? null, final);
  }
  return finals;
}

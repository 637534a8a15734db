// What the browser keeps, in IndexedDB: drawn pictures, captions under way, vectors of pictures read before.
//   pictures  {id, blob, prompt, settings, seed, kind, at, batch}    captions  {id, name, blob, width, height, en, ko}
//   vectors   {key, vector}
// Where a browser keeps nothing (some private windows), `usable()` is false, reads are empty and writes do nothing.

let opened = null;

function open() {
  opened ??= new Promise((done) => {
    try {
      const request = indexedDB.open('duet', 1);
      request.onupgradeneeded = () => {
        const db = request.result;
        db.createObjectStore('pictures', { keyPath: 'id', autoIncrement: true });
        db.createObjectStore('captions', { keyPath: 'id', autoIncrement: true });
        db.createObjectStore('vectors', { keyPath: 'key' });
      };
      request.onsuccess = () => done(request.result);
      request.onerror = () => done(null);
    } catch {
      done(null);
    }
  });
  return opened;
}

export const usable = async () => (await open()) !== null;

// Runs `work(store)` in one transaction; resolves to its request's result once it is on disk.
async function within(name, mode, work, fallback) {
  const db = await open();
  if (!db) return fallback;
  return new Promise((done, fail) => {
    const transaction = db.transaction(name, mode);
    const request = work(transaction.objectStore(name));
    transaction.oncomplete = () => done(request?.result ?? fallback);
    transaction.onabort = () => fail(transaction.error || new Error('aborted'));
  });
}

export const put = (name, value) => within(name, 'readwrite', (s) => s.put(value));
export const get = (name, key) => within(name, 'readonly', (s) => s.get(key));
export const remove = (name, key) => within(name, 'readwrite', (s) => s.delete(key));
export const clear = (name) => within(name, 'readwrite', (s) => s.clear());
export const count = (name) => within(name, 'readonly', (s) => s.count(), 0);
export const all = (name) => within(name, 'readonly', (s) => s.getAll(), []);

// Up to `most` pictures older than `before`, the newest first, that `fits` them; whether there may be more.
export async function newest(before, most, fits = () => true) {
  const list = [];
  const db = await open();
  if (!db) return list;
  await new Promise((done, fail) => {
    const range = before === Infinity ? null : IDBKeyRange.upperBound(before, true);
    const request = db.transaction('pictures').objectStore('pictures').openCursor(range, 'prev');
    request.onerror = () => fail(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor || list.length === most) return done();
      if (fits(cursor.value)) list.push(cursor.value);
      cursor.continue();
    };
  });
  return list;
}

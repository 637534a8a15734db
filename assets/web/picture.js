// Picture files: opening, shrinking, and the PNG chunks that carry a picture's settings.
import { t } from './strings.js';

export const isPicture = (file) => /^image\//.test(file.type) || /\.(png|jpe?g|webp|gif|bmp|svg|avif)$/i.test(file.name);

const kSent = ['image/png', 'image/jpeg', 'image/webp'];  // what the server decodes; anything else is sent as PNG

// An <img> that has loaded `blob`: what the browser makes of it, orientation included.
export async function openPicture(blob, name = blob.name || '') {
  const img = new Image();
  img.src = URL.createObjectURL(blob);
  try {
    await img.decode();
    if (!img.naturalWidth) throw new Error();
    return img;
  } catch {
    throw new Error(t('err_picture', { name }));
  } finally {
    URL.revokeObjectURL(img.src);
  }
}

export function canvasOf(width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

export const toPng = (canvas) => new Promise((done) => canvas.toBlob(done, 'image/png'));

export async function scaled(img, width, height) {
  const canvas = canvasOf(width, height);
  const pen = canvas.getContext('2d');
  pen.imageSmoothingQuality = 'high';
  pen.drawImage(img, 0, 0, width, height);
  return toPng(canvas);
}

// {blob, width, height}: the file as it is if the server decodes its kind and it is no larger than `most` a side;
// else a smaller PNG of it. width and height are the file's own.
export async function sendable(file, most = 1024) {
  const img = await openPicture(file);
  const { naturalWidth: width, naturalHeight: height } = img;
  const long = Math.max(width, height);
  if (kSent.includes(file.type) && long <= most) return { blob: file, width, height };
  const by = Math.min(1, most / long);
  return { blob: await scaled(img, Math.max(1, Math.round(width * by)), Math.max(1, Math.round(height * by))), width, height };
}

// {blob, width, height, same}: the file as a PNG no larger than `most` a side; same: it needed no shrinking.
// A PNG that fits is taken as it is, byte for byte.
export async function fitted(file, most) {
  const img = await openPicture(file);
  const by = Math.min(1, most / Math.max(img.naturalWidth, img.naturalHeight));
  const side = (n) => Math.max(1, Math.round(n * by));
  const width = side(img.naturalWidth), height = side(img.naturalHeight);
  return { blob: by === 1 && file.type === 'image/png' ? file : await scaled(img, width, height), width, height, same: by === 1 };
}

// PNG (third edition) 5.3: eight bytes of signature, then chunks of length, type, data, CRC.
function chunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const list = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const end = at + 12 + view.getUint32(at);
    list.push({ type: String.fromCharCode(...bytes.subarray(at + 4, at + 8)), bytes: bytes.subarray(at, end) });
    at = end;
  }
  return list;
}

// A copy of a drawn PNG with "AI" in its corner; its text chunks (settings, XMP) are carried over byte for byte.
export async function marked(blob) {
  const img = await openPicture(blob);
  const canvas = canvasOf(img.naturalWidth, img.naturalHeight);
  const pen = canvas.getContext('2d');
  pen.drawImage(img, 0, 0);
  const size = Math.max(8, Math.round(canvas.height / 14));
  pen.font = `600 ${size}px system-ui, sans-serif`;
  pen.textAlign = 'right';
  pen.textBaseline = 'bottom';
  pen.lineWidth = Math.max(1, size / 5);
  pen.strokeStyle = 'rgb(0 0 0 / 0.7)';
  pen.fillStyle = '#fff';
  const x = canvas.width - size / 3, y = canvas.height - size / 6;
  pen.strokeText('AI', x, y);
  pen.fillText('AI', x, y);
  const said = chunks(new Uint8Array(await blob.arrayBuffer())).filter((c) => /^(tEXt|iTXt|zTXt)$/.test(c.type));
  const bytes = new Uint8Array(await (await toPng(canvas)).arrayBuffer());
  const own = chunks(bytes);
  const parts = [bytes.subarray(0, 8), own[0].bytes, ...said.map((c) => c.bytes), ...own.slice(1).map((c) => c.bytes)];
  return new Blob(parts, { type: 'image/png' });
}

// The settings that a PNG says it was drawn with, from the answer of /sdapi/v1/png-info; null if it names none.
// duet's own text is JSON; of other tools the infotext is read: prompt, "Negative prompt: ...", "Steps: 20, ...".
export function settingsOf({ info = '', items = {} }) {
  if (items && typeof items.duet === 'string') {
    try {
      return known({ finish: 'raw', ...JSON.parse(items.duet) });  // pictures without the word are of before there was another
    } catch { /* not ours after all: the infotext is next */ }
  }
  const text = String((items && items.parameters) || info || '');
  const last = text.lastIndexOf('\nSteps: ');
  if (last < 0) return null;
  const field = (name) => text.slice(last).match(new RegExp(`(?:\\n|, )${name}: ([^,\\n]*)`))?.[1];
  const words = text.slice(0, last).split('\nNegative prompt: ');
  const [width, height] = (field('Size') || '').split('x');
  return known({
    prompt: words[0], negative: words[1], steps: field('Steps'), guidance: field('CFG scale'), seed: field('Seed'), width, height,
  });
}

function known(m) {
  const number = (v) => (v !== '' && Number.isFinite(Number(v ?? NaN)) ? Number(v) : undefined);
  const word = (v) => (typeof v === 'string' ? v : '');
  return {
    prompt: word(m.prompt), negative: word(m.negative), style: word(m.style), seed: number(m.seed),
    steps: number(m.steps), guidance: number(m.guidance), width: number(m.width), height: number(m.height),
    clean: m.finish === undefined ? undefined : m.finish !== 'raw',
  };
}

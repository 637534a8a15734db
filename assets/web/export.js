// Captions as files that other tools read. An item: {name, width, height, en, ko}; `langs` some of ['en', 'ko'].

const filled = (items, langs) => items.filter((i) => langs.some((l) => i[l]));

// COCO captions (https://cocodataset.org/#format-data); a caption's `language` is an addition that readers skip.
export function coco(items, langs) {
  const images = [], annotations = [];
  filled(items, langs).forEach((item, n) => {
    images.push({ id: n + 1, file_name: item.name, width: item.width, height: item.height });
    for (const language of langs)
      if (item[language]) annotations.push({ id: annotations.length + 1, image_id: n + 1, caption: item[language], language });
  });
  const info = { description: 'Captions made with duet', date_created: new Date().toISOString().slice(0, 10) };
  return new Blob([JSON.stringify({ info, images, annotations }, null, 1) + '\n'], { type: 'application/json' });
}

// RFC 4180, with a byte order mark, without which spreadsheets take Korean for another encoding.
export function csv(items, langs) {
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const names = { en: 'caption', ko: 'caption_ko' };
  const rows = [['file_name', ...langs.map((l) => names[l])], ...filled(items, langs).map((i) => [i.name, ...langs.map((l) => i[l] || '')])];
  return new Blob(['\ufeff' + rows.map((r) => r.map(cell).join(',') + '\r\n').join('')], { type: 'text/csv' });
}

// One text file a picture, named as the picture is, in a zip; with both languages, a folder for each.
export function texts(items, langs) {
  const files = [];
  for (const language of langs)
    for (const item of items)
      if (item[language])
        files.push({ name: (langs.length > 1 ? `${language}/` : '') + item.name.replace(/\.[^./]+$/, '') + '.txt', text: item[language] + '\n' });
  return zip(files);
}

const kCrc = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; ++k) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(bytes) {
  let c = 0xffffffff;
  for (const b of bytes) c = kCrc[(c ^ b) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

function record(signature, fields) {
  const view = new DataView(new ArrayBuffer(4 + fields.reduce((n, [size]) => n + size, 0)));
  view.setUint32(0, signature, true);
  let at = 4;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

// APPNOTE.TXT 6.3.10, 4.3: stored entries, UTF-8 names (flag bit 11), then the central directory.
function zip(files) {
  const body = [], directory = [];
  let at = 0, size = 0;
  for (const file of files) {
    const name = new TextEncoder().encode(file.name), bytes = new TextEncoder().encode(file.text);
    const common = [[2, 20], [2, 0x800], [2, 0], [2, 0], [2, 0x21], [4, crc32(bytes)], [4, bytes.length], [4, bytes.length], [2, name.length], [2, 0]];
    const head = record(0x04034b50, common);
    const entry = record(0x02014b50, [[2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]]);
    body.push(head, name, bytes);
    directory.push(entry, name);
    at += head.length + name.length + bytes.length;
    size += entry.length + name.length;
  }
  const end = record(0x06054b50, [[2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, at], [2, 0]]);
  return new Blob([...body, ...directory, end], { type: 'application/zip' });
}

// Painting over what should change. The mask is made at the picture's own pixels, hard-edged, and sent as OpenAI's
// clients do: a PNG whose alpha is 0 where the picture may change and 255 where it must stay.
import { $ } from './dom.js';
import { canvasOf, openPicture, toPng } from './picture.js';
import { say, t, plain } from './strings.js';

const kUndo = 40;                        // strokes that can be taken back
// What is painted, seen through: stripes of two colours, so that one of them shows on any picture.
const kTints = [[0xe2, 0x58, 0x2f, 0xb0], [0xff, 0xff, 0xff, 0xb0]];
const kStripes = 40;  // across the longer side

let width = 0, height = 0;
let mask = new Uint8Array();  // 1: change here
let past = [];                // the masks before each stroke
let cursor = { x: 0, y: 0 };  // in pixels of the picture
let last = null;              // where the stroke under way was, or null

const radius = () => Math.max(0.5, (Number($('mask-size').value) / 200) * Math.max(width, height));
const value = () => ($('mask-form').elements.tool.value === 'brush' ? 1 : 0);

function redraw() {
  const pen = $('mask-canvas').getContext('2d');
  const image = pen.createImageData(width, height);
  const stripe = Math.max(1, Math.round(Math.max(width, height) / kStripes));
  let painted = 0;
  for (let i = 0; i < mask.length; ++i) {
    if (!mask[i]) continue;
    image.data.set(kTints[Math.floor(((i % width) + Math.floor(i / width)) / stripe) % 2], 4 * i);
    ++painted;
  }
  pen.putImageData(image, 0, 0);
  const percent = (100 * painted) / mask.length;
  say($('mask-share'), 'painted', { p: painted && percent < 1 ? '<1' : Math.round(percent) });
  $('mask-undo').disabled = past.length === 0;
  return painted;
}

function before() {
  past.push(mask.slice());
  if (past.length > kUndo) past.shift();
  $('mask-error').hidden = true;
}

// Sets every pixel whose centre is within the brush around (x, y); at least the one under it.
function stamp(x, y) {
  const r = radius(), v = value();
  const x0 = Math.max(0, Math.floor(x - r)), x1 = Math.min(width - 1, Math.ceil(x + r));
  const y0 = Math.max(0, Math.floor(y - r)), y1 = Math.min(height - 1, Math.ceil(y + r));
  for (let py = y0; py <= y1; ++py)
    for (let px = x0; px <= x1; ++px)
      if ((px + 0.5 - x) ** 2 + (py + 0.5 - y) ** 2 <= r * r) mask[py * width + px] = v;
  const px = Math.floor(x), py = Math.floor(y);
  if (px >= 0 && py >= 0 && px < width && py < height) mask[py * width + px] = v;
}

function stroke(from, to) {
  const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / Math.max(0.5, radius() / 3)));
  for (let i = 0; i <= steps; ++i) stamp(from.x + ((to.x - from.x) * i) / steps, from.y + ((to.y - from.y) * i) / steps);
}

function showBrush() {
  const scale = $('mask-canvas').clientWidth / width, brush = $('mask-brush').style;
  const size = Math.max(4, 2 * radius() * scale);
  brush.width = brush.height = `${size}px`;
  brush.left = `${cursor.x * scale - size / 2}px`;
  brush.top = `${cursor.y * scale - size / 2}px`;
}

function where(e) {
  const box = $('mask-canvas').getBoundingClientRect();
  return { x: ((e.clientX - box.left) * width) / box.width, y: ((e.clientY - box.top) * height) / box.height };
}

function undo() {
  if (!past.length) return;
  mask = past.pop();
  redraw();
}

function pointers() {
  const canvas = $('mask-canvas');
  canvas.onpointerdown = (e) => {
    if (e.button !== 0) return;
    canvas.setPointerCapture(e.pointerId);
    before();
    cursor = last = where(e);
    stamp(cursor.x, cursor.y);
    redraw();
    showBrush();
  };
  canvas.onpointermove = (e) => {
    cursor = where(e);
    if (last) {
      const parts = e.getCoalescedEvents?.() ?? [];
      for (const part of parts.length ? parts : [e]) {
        const to = where(part);
        stroke(last, to);
        last = to;
      }
      redraw();
    }
    showBrush();
  };
  canvas.onpointerup = canvas.onpointercancel = () => (last = null);
}

function keys(e) {
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
  const by = Math.max(1, Math.round(radius() / 2));
  if (move) {
    cursor.x = Math.min(width - 0.5, Math.max(0.5, cursor.x + by * move[0]));
    cursor.y = Math.min(height - 0.5, Math.max(0.5, cursor.y + by * move[1]));
  } else if (e.key === ' ') {
    before();
    stamp(cursor.x, cursor.y);
    redraw();
  } else {
    return;
  }
  e.preventDefault();
  showBrush();
}

// The frame as large as the easel allows, with the picture's own sides.
function place() {
  if (!width) return;
  const easel = $('mask-frame').parentElement;
  const scale = Math.min(easel.clientWidth / width, easel.clientHeight / height);
  $('mask-frame').style.width = `${Math.floor(width * scale)}px`;
  $('mask-frame').style.height = `${Math.floor(height * scale)}px`;
  showBrush();
}

function maskPng() {
  const canvas = canvasOf(width, height);
  const pen = canvas.getContext('2d');
  const image = pen.createImageData(width, height);
  for (let i = 0; i < mask.length; ++i) image.data[4 * i + 3] = mask[i] ? 0 : 255;
  pen.putImageData(image, 0, 0);
  return toPng(canvas);
}

function refuse(key, focus) {
  plain($('mask-error'), t(key));
  $('mask-error').hidden = false;
  focus.focus();
}

// {mask: PNG of the picture's size, prompt}, or null if the person thinks better of it.
export async function paint(blob, prompt) {
  const img = await openPicture(blob);
  width = $('mask-canvas').width = img.naturalWidth;
  height = $('mask-canvas').height = img.naturalHeight;
  mask = new Uint8Array(width * height);
  past = [];
  last = null;
  cursor = { x: width / 2, y: height / 2 };
  const url = URL.createObjectURL(blob);
  $('mask-img').src = url;
  $('mask-prompt').value = prompt;
  $('mask-error').hidden = true;
  return new Promise((done) => {
    let told = null;
    const form = $('mask-form');
    form.onsubmit = async (e) => {
      e.preventDefault();
      if (!mask.includes(1)) return refuse('mask_none', $('mask-canvas'));
      const words = $('mask-prompt').value.trim();
      if (!words) return refuse('nothing_to_draw', $('mask-prompt'));
      told = { mask: await maskPng(), prompt: words };
      $('mask').close();
    };
    $('mask').onclose = () => {
      URL.revokeObjectURL(url);
      done(told);
    };
    $('mask').showModal();
    place();
    redraw();
    $('mask-canvas').focus();
  });
}

export function startMask() {
  pointers();
  $('mask-canvas').addEventListener('keydown', keys);
  $('mask').addEventListener('keydown', (e) => {
    if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'z' && e.target !== $('mask-prompt')) {
      e.preventDefault();
      undo();
    }
  });
  $('mask-undo').onclick = undo;
  $('mask-clear').onclick = () => (before(), mask.fill(0), redraw());
  $('mask-invert').onclick = () => (before(), (mask = mask.map((v) => 1 - v)), redraw());
  $('mask-size').oninput = showBrush;
  $('mask-close').onclick = () => $('mask').close();
  new ResizeObserver(place).observe($('mask-frame').parentElement);
}

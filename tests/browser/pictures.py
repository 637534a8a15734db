"""PNG files with the standard library alone: what the mock server draws, and the masks it is sent."""
import functools
import math
import random
import struct
import zlib

COLOURS = {'red': (214, 60, 48), '빨간': (214, 60, 48), 'blue': (52, 104, 212), '파란': (52, 104, 212), 'green': (58, 158, 92),
           '초록': (58, 158, 92), 'yellow': (240, 190, 60), '노란': (240, 190, 60), 'purple': (128, 84, 180)}


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def itxt(key, text):
    return chunk(b'iTXt', key.encode() + b'\0\0\0\0\0' + text.encode())


def encode(width, height, rgba, texts=()):
    """RGBA bytes, row by row, as an 8-bit PNG; texts: pairs of key and value."""
    rows = b''.join(b'\0' + rgba[y * width * 4:(y + 1) * width * 4] for y in range(height))
    head = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 6, 0, 0, 0))
    return (b'\x89PNG\r\n\x1a\n' + head + b''.join(itxt(k, v) for k, v in texts) +
            chunk(b'IDAT', zlib.compress(rows, 1)) + chunk(b'IEND', b''))


def chunks(png):
    at = 8
    while at < len(png):
        size = struct.unpack('>I', png[at:at + 4])[0]
        yield png[at + 4:at + 8], png[at + 8:at + 8 + size]
        at += 12 + size


def texts(png):
    return {data.split(b'\0', 1)[0].decode(): data.split(b'\0\0\0\0\0', 1)[1].decode()
            for kind, data in chunks(png) if kind == b'iTXt'}


def decode(png):
    """width, height, RGBA bytes of an 8-bit PNG of RGB or RGBA, not interlaced: what a browser's canvas writes."""
    head = next(data for kind, data in chunks(png) if kind == b'IHDR')
    width, height, depth, colour, _, _, interlace = struct.unpack('>IIBBBBB', head)
    assert depth == 8 and colour in (2, 6) and not interlace, (depth, colour, interlace)
    n = 4 if colour == 6 else 3
    raw = zlib.decompress(b''.join(data for kind, data in chunks(png) if kind == b'IDAT'))
    out, above, stride = bytearray(), bytes(width * n), width * n
    for y in range(height):
        kind, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for i in range(stride):
            a, b = row[i - n] if i >= n else 0, above[i]
            c = above[i - n] if i >= n else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row[i] = (row[i] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
        out += row if n == 4 else b''.join(bytes(row[i:i + 3]) + b'\xff' for i in range(0, stride, 3))
        above = row
    return width, height, bytes(out)


def distance(shape, x, y):
    """Signed distance to a shape of radius 1 or so, negative inside."""
    if shape == 0:
        return math.hypot(x, y) - 0.95
    if shape == 1:  # five-pointed star
        angle = (math.atan2(x, -y) + 2 * math.pi) % (2 * math.pi / 5) - math.pi / 5
        return math.hypot(x, y) * math.cos(abs(angle) - math.pi * 0.3) - 0.5
    if shape == 2:
        return max(abs(x), abs(y)) - 0.8
    y = -y + 0.25  # heart
    return ((x * x + y * y - 0.7) ** 3 - x * x * y ** 3) * 3


@functools.lru_cache(maxsize=64)
def finished(prompt, seed, width, height, opaque):
    """A shape or two in the colours that the prompt names, on transparent or white."""
    rng = random.Random(f'{prompt}|{seed}')
    named = [c for word, c in COLOURS.items() if word in prompt.lower()] or [rng.choice(list(COLOURS.values()))]
    things = []
    for i, colour in enumerate(named[:2]):
        y = 0 if len(named) == 1 else (-0.45, 0.5)[i]
        things.append((rng.randrange(4), rng.uniform(-0.12, 0.12), y, rng.uniform(0.34, 0.42) * (1.7 if len(named) == 1 else 1), colour))
    out = bytearray()
    for py in range(height):
        for px in range(width):
            x, y = (2 * px + 1) / width - 1, (2 * py + 1) / height - 1
            pixel = [255, 255, 255, 255] if opaque else [0, 0, 0, 0]
            for shape, cx, cy, r, colour in things:
                d = distance(shape, (x - cx) / r, (y - cy) / r) * r * width / 2
                cover = min(1, max(0, 0.5 - d))
                shade = 1.06 - 0.18 * (y - cy + x - cx)
                if cover:
                    pixel = [min(255, int(c * shade)) for c in colour] + [max(int(255 * cover), pixel[3])]
            out += bytes(pixel)
    return bytes(out)


@functools.lru_cache(maxsize=64)
def noise(seed, size):
    return random.Random(seed).randbytes(size)


def draw(prompt, seed, sharp=1.0, width=64, height=64, opaque=False):
    """sharp < 1: that far on the way from noise to the finished picture."""
    picture, k = finished(prompt, seed, width, height, opaque), int(256 * sharp)
    return picture if sharp == 1 else bytes((k * p + (256 - k) * n) >> 8 for p, n in zip(picture, noise(seed, len(picture))))

#!/usr/bin/env python3
"""Loss against compute of several runs, as SVG on standard output: which size of model a budget of operations buys.

  tests/bench/scaling.py runs/w64 runs/w128 runs/w192 runs/w256 > scaling.svg     # folders that `duet train` wrote

Reads log.jsonl of each (steps, loss, samples and FLOP/s) and config.toml (model.width, data.batch). A point is the mean
loss of the log lines within a tenth of a decade. Prints, on standard error, what each run came to and its loss at the
budget that all have reached.
"""
import json
import math
import re
import sys

COLORS = ['#1b6ca8', '#c8553d', '#2a9d5c', '#8e44ad', '#b8860b', '#555555']
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 440, 70, 150, 30, 60


def read(folder):
    """Width of the model, operations a sample, and (operations, loss) after each line of the log."""
    config = open(f'{folder}/config.toml', encoding='utf-8').read()
    width = int(re.search(r'^width = (\d+)', config, re.M)[1])
    batch = int(re.search(r'^batch = (\d+)', config, re.M)[1])
    lines = [json.loads(line) for line in open(f'{folder}/log.jsonl', encoding='utf-8')]
    if not lines:
        sys.exit(f'{folder}/log.jsonl: no line yet; train longer than log_every steps')
    each = sorted(line['gflops'] * 1e9 / line['samples_per_s'] for line in lines)[len(lines) // 2]
    return width, each, [(line['step'] * batch * each, line['loss']) for line in lines]


def smooth(points):
    """Means over tenths of a decade."""
    bins = {}
    for flops, loss in points:
        bins.setdefault(round(math.log10(flops) * 10), []).append((flops, loss))
    return [(math.exp(sum(math.log(f) for f, _ in b) / len(b)), sum(l for _, l in b) / len(b))
            for _, b in sorted(bins.items())]


def main(folders):
    runs = sorted((read(f) for f in folders), key=lambda r: r[0])
    curves = [(w, each, smooth(points)) for w, each, points in runs]
    xs = [f for _, _, c in curves for f, _ in c]
    ys = [l for _, _, c in curves for _, l in c]
    x0, x1, y0, y1 = math.log10(min(xs)), math.log10(max(xs)), math.log10(min(ys)) - .02, math.log10(max(ys)) + .02
    px = lambda f: LEFT + (math.log10(f) - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
    py = lambda l: HEIGHT - BOTTOM - (math.log10(l) - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="13">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for e in range(math.ceil(x0 * 2), math.floor(x1 * 2) + 1):
        x = px(10 ** (e / 2))
        out.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>'
                   f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">1e{e / 2:g}</text>')
    ticks = [v for v in (.3, .4, .5, .6, .8, 1, 1.2, 1.5, 2, 2.5, 3, 4, 5) if 10 ** y0 <= v <= 10 ** y1]
    for v in ticks:
        out.append(f'<path d="M{LEFT} {py(v):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 8}" y="{py(v) + 4:.1f}" text-anchor="end">{v:g}</text>')
    labels = []
    for (w, each, c), color in zip(curves, COLORS):
        path = ' '.join(f'{"ML"[i > 0]}{px(f):.1f} {py(l):.1f}' for i, (f, l) in enumerate(c))
        out.append(f'<path d="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        labels.append([py(c[-1][1]) + 4, f'width {w}: {c[-1][1]:.2f}', color])
    labels.sort()
    for above, label in zip(labels, labels[1:]):
        label[0] = max(label[0], above[0] + 15)
    out += [f'<text x="{WIDTH - RIGHT + 8}" y="{y:.1f}" fill="{color}">{text}</text>' for y, text, color in labels]
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">operations of training (FLOP)</text>')
    out.append(f'<text x="18" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 18 {HEIGHT / 2})">loss</text></svg>')
    print('\n'.join(out))

    common = min(c[-1][0] for _, _, c in curves) * 1.06
    for w, each, c in curves:
        at = min((p for p in c if p[0] <= common), key=lambda p: common - p[0])
        print(f'width {w}: {each / 1e9:.2f} GFLOP a sample, {c[-1][0]:.2e} FLOP in all, loss {at[1]:.3f} at {at[0]:.1e}', file=sys.stderr)


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])

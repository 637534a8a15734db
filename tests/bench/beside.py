#!/usr/bin/env python3
"""The rows of gpu_bench beside those of torch_peer.py, which ran on the same card: beside.py OURS.json [PEERS.json]

One line a row: its floor, what was measured, the floor's share of that, and for every way of PyTorch its time and how many
times ours goes into it (above 1: ours is faster).
"""
import json, sys


def rows(file):
    with open(file) as f:
        return [json.loads(line) for line in f]


def beside(ours, peers):
    card, *ours = ours
    peers_of = {}
    for p in peers:
        peers_of.setdefault(p['row'], []).append(p)
    lines = []
    for r in ours:
        name = r['row'] + ('' if r['by'] == 'duet' else ', by ' + r['by'])
        against = [f"{p['by']} {p['us']:.1f} ({p['us'] / r['us']:.2f}x)" for p in peers_of.get(r['row'], [])]
        lines.append(f"{name:<58} {r['floor_us']:>11.1f} {r['us']:>11.1f} {100 * r['floor_us'] / r['us']:>5.0f}%  "
                     f"{'; '.join(against + ([r['note']] if r['note'] else []))}")
    unknown = sorted(set(peers_of) - {r['row'] for r in ours})
    return [f"{card['card']}: {card['copy_gb_s']:.0f} GB/s copied (read and written), products at {card['matrix_tflop_s']:.0f} TFLOP/s",
            f"{'us':<58} {'floor':>11} {'measured':>11} {'share':>6}  PyTorch (its time / ours)"] + lines, unknown


if __name__ == '__main__':
    ours = rows(sys.argv[1])
    peers = rows(sys.argv[2]) if len(sys.argv) > 2 else []
    lines, unknown = beside(ours, peers)
    print('\n'.join(lines))
    if not peers:
        print("no PyTorch here: 'pip install torch numpy' to measure the peer too")
    if unknown:
        sys.exit(f"beside.py: {sys.argv[2]} has rows that gpu_bench has not: {', '.join(unknown)}")

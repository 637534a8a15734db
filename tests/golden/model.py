#!/usr/bin/env python3
"""The model once more, in PyTorch and from its description alone, to hold the C++ one against.

Writes model.safetensors: weights and inputs (f32); outputs of every module, gradients of the joint loss by every parameter
and the losses of ten optimizer steps, each computed in f64 (the truth) and in f32 (what rounding costs there).
Regenerate on purpose only:  pip install torch numpy;  python3 tests/golden/model.py
"""
import json
import math
import os
import struct

import numpy as np
import torch

torch.set_num_threads(1)
CONFIG = dict(patch=4, size=16, vocab=300, width=32, head=16, hidden=48, vision_depth=1, text_depth=1, fusion_depth=2,
              embed=16, theta=100.0, refine=8, whole_prompt=True)
P2, C, D, F, E, R = 4 * 4 * 4, 32, 16, 48, 16, 8
H = C // D
LOSS = dict(flow=1.0, caption=0.25, contrast=0.1, drop=0.3, read=0.5, t_mean=-0.4, t_std=1.0)
SEED, NULL, STEPS, LR = 11, 1, 10, 0.01


# --- random numbers by counter, as kernels/random.h has them ---
M = (1 << 64) - 1


def mix1(x):
    x = (x + 0x9E3779B97F4A7C15) & M
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & M
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & M
    return x ^ (x >> 31)


def mix(seed, i):
    return mix1(mix1(seed) ^ ((i * 0xD1342543DE82EF95 + 1) & M))


def uniform(seed, i):
    return (mix(seed, i) >> 11) * 2.0**-53


def normal(seed, i):
    r = mix(seed, i)
    u, v = ((r >> 32) + 0.5) * 2.0**-32, (r & 0xFFFFFFFF) * 2.0**-32
    return np.float32(math.sqrt(-2 * math.log(u)) * math.cos(6.283185307179586 * v))


def sample_t(seed, i):
    u = np.float32(LOSS["t_mean"]) + np.float32(LOSS["t_std"]) * normal(seed, i)
    return np.float32(1) / (np.float32(1) + np.float32(math.exp(float(-u))))


# --- parameters ---
def shapes():
    s = {"table": (CONFIG["vocab"], C), "vision.patch_in.weight": (C, P2), "vision.patch_in.bias": (C,), "vision.place_in.weight": (C, 64),
         "time.in.weight": (C, 128), "time.in.bias": (C,), "time.out.weight": (C, C), "time.out.bias": (C,),
         "time.vision.weight": (6 * C, C), "time.fusion.weight": (6 * C, C), "time.head.weight": (2 * C, C),
         "time.skip.weight": (P2, C), "time.refine.weight": (2 * R, C), "refine.guess.weight": (R, 144),
         "refine.guess.bias": (R,), "refine.noisy.weight": (R, 144), "refine.between.weight": (R, 9 * R), "refine.between.bias": (R,),
         "refine.out.weight": (16, R), "refine.out.bias": (16,)}
    for where, depth, rows in (("vision", 1, 2), ("text", 1, 1), ("fusion", 2, 2)):
        for d in range(depth):
            at = f"{where}.{d}"
            s |= {f"{at}.qkv.weight": (3 * C, C), f"{at}.proj.weight": (C, C), f"{at}.up.weight": (2 * F, C),
                  f"{at}.down.weight": (C, F), f"{at}.gain_q": (D,), f"{at}.gain_k": (D,), f"{at}.own": (rows, 6 * C)}
    return s | {"head.flow.weight": (P2, C), "head.flow.bias": (P2,), "head.flow.own": (2, 2 * C),
                "head.text.own": (1, 2 * C), "head.picture.weight": (E, C), "head.text.weight": (E, C),
                "head.pool.own": (1, 4 * C), "head.log_scale": (1,), "head.bias": (1,), "head.skip.own": (2, P2), "head.masks.weight": (4 * (16 + 4), C)}


def weights(rng):
    w = {}
    for name, shape in shapes().items():
        x = rng.standard_normal(shape)
        if name.endswith(".weight"):
            x = x / math.sqrt(shape[1])
        elif "gain" in name:
            x = 1 + 0.2 * x
        elif name == "table":
            x = 0.2 * x
        elif name == "head.log_scale":
            x = np.full(shape, math.log(5))
        elif name == "head.bias":
            x = np.full(shape, -1.5)
        else:
            x = 0.2 * x
            if name.endswith(".own") and shape[1] == 6 * C:
                x[:, 2 * C:3 * C] += 1
                x[:, 5 * C:6 * C] += 1
        w[name] = x.astype(np.float32)
    return w


# --- the model ---
class Model:
    """Parameters p by name, all of one dtype. A sequence is a list of ("text", n) and ("image", rows, cols, index of t)."""

    def __init__(self, w, dtype):
        self.dtype = dtype
        self.p = {k: torch.tensor(v).to(dtype).requires_grad_() for k, v in w.items()}

    def linear(self, x, name):
        y = x @ self.p[name + ".weight"].T
        return y + self.p[name + ".bias"] if name + ".bias" in self.p else y

    @staticmethod
    def norm(x):
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6)

    def times(self, t):
        t = torch.tensor(np.asarray(t, np.float32).astype(np.float64))
        a = 1000 * t[:, None] * torch.exp(-math.log(10000) * torch.arange(64, dtype=torch.float64) / 64)
        f = torch.cat([a.cos(), a.sin()], 1).to(self.dtype)
        silu = torch.nn.functional.silu
        e = silu(self.linear(silu(self.linear(f, "time.in")), "time.out"))
        return {k: self.linear(e, "time." + k) for k in ("vision", "fusion", "head", "skip", "refine")}

    def rotate(self, x, row, col):  # x (T,H,D)
        Q = D // 4
        freq = CONFIG["theta"] ** (-torch.arange(Q, dtype=torch.float64) / Q)
        out = []
        for half, pos in ((x[..., :D // 2], row), (x[..., D // 2:], col)):
            a = (pos.double()[:, None] * freq)[:, None, :]
            c, s = a.cos().to(self.dtype), a.sin().to(self.dtype)
            u, v = half[..., :Q], half[..., Q:]
            out += [u * c - v * s, u * s + v * c]
        return torch.cat(out, -1)

    def block(self, at, x, sequence, t):
        """x (T,C) of one sequence; t (R,6C) or None. A sequence of text before a picture is a prompt: visible whole."""
        own, kind, row, col, segment = self.p[at + ".own"], [], [], [], []
        for i, s in enumerate(sequence):
            n = s[1] if s[0] == "text" else s[1] * s[2]
            for k in range(n):
                segment.append(i)
                row.append(k if s[0] == "text" else k // s[2])
                col.append(k if s[0] == "text" else k % s[2])
                kind.append(own[0] if s[0] == "text" else own[1] + t[s[3]])
        mod = torch.stack(kind)
        T, segment = len(segment), torch.tensor(segment)
        text = torch.tensor([sequence[i][0] == "text" for i in segment])
        place = torch.arange(T)
        if sequence[0][0] == "text" and sequence[-1][0] == "image":
            text[:] = False
        # a segment sees all earlier segments; inside itself text is causal, a picture or a prompt fully visible
        sees = (segment[None] < segment[:, None]) | ((segment[None] == segment[:, None]) &
                                                     (~text[:, None] | (place[None] <= place[:, None])))
        scale1, shift1, gate1, scale2, shift2, gate2 = mod.split(C, 1)
        q, k, v = self.linear(self.norm(x) * (1 + scale1) + shift1, at + ".qkv").view(T, 3, H, D).unbind(1)
        row, col = torch.tensor(row), torch.tensor(col)
        q = self.rotate(self.norm(q) * self.p[at + ".gain_q"], row, col)
        k = self.rotate(self.norm(k) * self.p[at + ".gain_k"], row, col)
        scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(D)
        a = torch.softmax(scores.masked_fill(~sees, -math.inf), -1)
        x = x + gate1 * self.linear(torch.einsum("hqk,khd->qhd", a, v).reshape(T, C), at + ".proj")
        up, gated = self.linear(self.norm(x) * (1 + scale2) + shift2, at + ".up").split(F, 1)
        return x + gate2 * self.linear(torch.nn.functional.silu(up) * gated, at + ".down")

    def text_stem(self, ids):
        x = self.norm(self.p["table"][torch.tensor(ids)])
        return self.block("text.0", x, [("text", len(ids))], None)

    def vision_stem(self, patches, rows, cols, t, r):
        place = []  # cos and sin of pi f u, u in (0,1) down, then across
        for k, n in ((torch.arange(rows).repeat_interleave(cols), rows), (torch.arange(cols).repeat(rows), cols)):
            a = math.pi * (k.double()[:, None] + 0.5) / n * torch.arange(1, 17)
            place += [a.cos(), a.sin()]
        x = self.linear(patches, "vision.patch_in") + self.linear(torch.cat(place, 1).to(self.dtype), "vision.place_in")
        return self.block("vision.0", x, [("image", rows, cols, r)], t["vision"])

    def fuse(self, x, sequence, t):
        for d in range(2):
            x = self.block(f"fusion.{d}", x, sequence, t["fusion"])
        return x

    def flow_head(self, h, z, rows, cols, t, r):
        scale, shift = (self.p["head.flow.own"][1] + t["head"][r]).split(C)
        n = self.norm(h) * (1 + scale) + shift
        mask, colour = self.linear(n, "head.masks").view(len(n), 4, 20).split([16, 4], -1)
        x = (self.linear(n, "head.flow") + torch.einsum("nka,nkg->nag", mask, colour).reshape(len(n), P2)
             + (self.p["head.skip.own"][1] + t["skip"][r]) * z)
        return x + self.refine(x, z, rows, cols, t["refine"][r])

    def refine(self, x, z, rows, cols, time):
        """Convolutions over cells of 2 x 2 pixels, as torch has them: (1, channels, rows, columns)."""
        def cells(p):  # patches of 4 x 4 pixels, two by two cells
            p = p.reshape(rows, cols, 2, 2, 2, 2, 4).permute(0, 2, 1, 4, 3, 5, 6)  # cell rows and columns, then inside a cell
            return p.reshape(2 * rows, 2 * cols, 16).permute(2, 0, 1)[None]

        def conv(v, name):
            w = self.p[name + ".weight"]
            w = w.reshape(w.shape[0], 3, 3, -1).permute(0, 3, 1, 2)
            b = self.p[name + ".bias"] if name + ".bias" in self.p else None
            return torch.nn.functional.conv2d(v, w, b, padding=1)

        silu, (one, two) = torch.nn.functional.silu, time.split(R)
        u = silu(conv(cells(x), "refine.guess") + conv(cells(z), "refine.noisy") + one[None, :, None, None])
        v = silu(conv(u, "refine.between") + two[None, :, None, None])
        d = self.linear(v[0].permute(1, 2, 0), "refine.out")
        d = d.reshape(rows, 2, cols, 2, 2, 2, 4).permute(0, 2, 1, 4, 3, 5, 6)
        return d.reshape(rows * cols, P2)

    def token_logits(self, h):
        scale, shift = self.p["head.text.own"][0].split(C)
        return (self.norm(h) * (1 + scale) + shift) @ self.p["table"].T

    def embedding(self, h, which):
        own = self.p["head.pool.own"][0].split(C)
        scale, shift = own[:2] if which == "picture" else own[2:]
        e = self.linear((self.norm(h) * (1 + scale) + shift).mean(0), f"head.{which}")
        return e / e.norm()

    def joint(self, pixels, text, same, seed):
        B, side = len(text), CONFIG["size"] // CONFIG["patch"]
        P = side * side
        R = min(max(math.floor(B * LOSS["read"] + 0.5), 1), B)
        clean = torch.tensor(pixels).view(B, side, 4, side, 4, 4).permute(0, 1, 3, 2, 4, 5).reshape(B, P, P2)
        ts = np.array([sample_t(mix(seed, 1), b) for b in range(B)], np.float32)
        noise = np.array([normal(mix(seed, 2), i) for i in range(B * P * P2)], np.float32).reshape(B, P, P2)
        clean, noise, tt = clean.to(self.dtype), torch.tensor(noise).to(self.dtype), torch.tensor(ts).to(self.dtype)
        z = tt[:, None, None] * clean + (1 - tt[:, None, None]) * noise
        t = self.times(np.concatenate([ts, np.ones(R, np.float32)]))
        stems = [self.text_stem(s[:-1]) for s in text]
        nothing = self.text_stem([NULL])
        flow, caption, tokens, us, vs, kept = 0, 0, 0, [], [], []
        for b in range(B):
            dropped = uniform(mix(seed, 3), b) < LOSS["drop"]
            words = nothing if dropped else stems[b]
            n = len(words)
            seen = self.vision_stem(z[b], side, side, t, b)
            h = self.fuse(torch.cat([words, seen]), [("text", n), ("image", side, side, b)], t)
            x = self.flow_head(h[n:], z[b], side, side, t, b)
            flow = flow + ((x - clean[b]) ** 2).sum() / max(1 - float(ts[b]), 0.05) ** 2
            if b < R:
                if not dropped:
                    kept.append(b)
                    vs.append(self.embedding(h[:n], "text"))
        for b in range(R):
            seen = self.vision_stem(clean[b], side, side, t, B + b)
            h = self.fuse(torch.cat([seen, stems[b]]), [("image", side, side, B + b), ("text", len(stems[b]))], t)
            caption = caption + torch.nn.functional.cross_entropy(self.token_logits(h[P:]), torch.tensor(text[b][1:]),
                                                                  reduction="sum")
            tokens += len(stems[b])
            if b in kept:
                us.append(self.embedding(h[:P], "picture"))
        flow, caption = flow / (B * P * P2), caption / tokens
        loss = LOSS["flow"] * flow + LOSS["caption"] * caption
        if not kept:
            return loss, flow, caption, 0.0
        z = torch.exp(self.p["head.log_scale"]) * (torch.stack(us) @ torch.stack(vs).T) + self.p["head.bias"]
        label = 2 * torch.eye(len(kept), dtype=self.dtype) - 1
        use = torch.tensor([[i == j or same[kept[i]] != same[kept[j]] for j in range(len(kept))] for i in range(len(kept))])
        contrast = -(torch.nn.functional.logsigmoid(label * z) * use).sum() / len(kept)
        return loss + LOSS["contrast"] * contrast, flow, caption, contrast


# --- the optimizer ---
def orthogonal(x):
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        a = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
        b = -4.7750 * a + 2.0315 * a @ a
        x = 3.4445 * x + (b @ x if x.shape[0] <= x.shape[1] else x @ b)
    return x


class Optimizer:
    def __init__(self, p, clip=1.0, decay=0.02, b1=0.9, b2=0.98, eps=1e-8, mu=0.95):
        self.p, self.clip, self.decay, self.b1, self.b2, self.eps, self.mu = p, clip, decay, b1, b2, eps, mu
        self.m = {k: torch.zeros_like(v) for k, v in p.items()}
        self.v = {k: torch.zeros_like(v) for k, v in p.items()}

    @torch.no_grad()
    def step(self, n, lr):
        norm = math.sqrt(sum(float((w.grad.double() ** 2).sum()) for w in self.p.values()))
        for name, w in self.p.items():
            g = w.grad * min(1.0, self.clip / norm)
            parts = 3 if name.endswith(".qkv.weight") else 2 if name.endswith(".up.weight") else 1
            if name.endswith((".qkv.weight", ".proj.weight", ".up.weight", ".down.weight")):
                self.m[name] = self.mu * self.m[name] + g
                u = g + self.mu * self.m[name]
                u = torch.cat([orthogonal(x) for x in u.chunk(parts)])
                size = 0.2 * math.sqrt(max(w.shape[0] // parts, w.shape[1]))
                w.mul_(1 - lr * self.decay).sub_(lr * size * u)
            else:
                self.m[name] = self.b1 * self.m[name] + (1 - self.b1) * g
                self.v[name] = self.b2 * self.v[name] + (1 - self.b2) * g * g
                u = self.m[name] / (1 - self.b1**n) / ((self.v[name] / (1 - self.b2**n)).sqrt() + self.eps)
                decay = self.decay if w.dim() == 2 and name.endswith(".weight") else 0
                w.sub_(lr * (u + decay * w))
        return norm


def write(path, tensors, metadata):
    names = {np.dtype("f4"): "F32", np.dtype("f8"): "F64", np.dtype("i4"): "I32"}
    header, data = {"__metadata__": metadata}, b""
    for k, x in sorted(tensors.items(), key=lambda e: (-e[1].itemsize, e[0])):
        x = np.ascontiguousarray(x)
        header[k] = {"dtype": names[x.dtype], "shape": list(x.shape), "data_offsets": [len(data), len(data) + x.nbytes]}
        data += x.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def train(m, pixels, text, same):
    losses, opt = [], Optimizer(m.p)
    for step in range(1, STEPS + 1):
        for v in m.p.values():
            v.grad = torch.zeros_like(v)
        parts = m.joint(pixels, text, same, SEED + step - 1)
        parts[0].backward()
        losses.append([float(torch.as_tensor(p).detach()) for p in parts] + [opt.step(step, LR)])
    return np.array(losses, np.float64)


def main():
    rng = np.random.default_rng(2024)
    w = weights(rng)
    out = {"weight:" + k: v for k, v in w.items()}
    # two sequences: five words and a picture of 3 x 4 patches, a clean one of 2 x 3 and four words
    ids = rng.integers(0, CONFIG["vocab"], 9).astype(np.int32)
    patches = rng.standard_normal((18, P2)).astype(np.float32)
    pixels = np.tanh(rng.standard_normal((5, 16, 16, 4))).astype(np.float32)
    text = [[3 + b % 2] + rng.integers(20, 300, 2 + 2 * b).tolist() + [2] for b in range(5)]
    same = [0, 1, 2, 1, 4]
    out |= {"ids": ids, "patches": patches, "pixels": pixels, "same": np.array(same, np.int32),
            "text": np.array(sum(text, []), np.int32), "text_lengths": np.array([len(s) for s in text], np.int32)}
    for dtype, tag in ((torch.float64, "f64"), (torch.float32, "f32")):
        m = Model(w, dtype)
        with torch.no_grad():
            t = m.times([0.3, 1.0])
            x = torch.tensor(patches).to(dtype)
            words = [m.text_stem(ids[:5]), m.text_stem(ids[5:])]
            seen = [m.vision_stem(x[:12], 3, 4, t, 0), m.vision_stem(x[12:], 2, 3, t, 1)]
            a = m.fuse(torch.cat([words[0], seen[0]]), [("text", 5), ("image", 3, 4, 0)], t)
            b = m.fuse(torch.cat([seen[1], words[1]]), [("image", 2, 3, 1), ("text", 4)], t)
            outputs = {"time_vision": t["vision"], "time_fusion": t["fusion"], "time_head": t["head"], "time_skip": t["skip"], "time_refine": t["refine"],
                       "text_stem": torch.cat(words), "vision_stem": torch.cat(seen), "fuse": torch.cat([a, b]),
                       "flow_head": torch.cat([m.flow_head(a[5:], x[:12], 3, 4, t, 0), m.flow_head(b[:6], x[12:], 2, 3, t, 1)]),
                       "token_logits": m.token_logits(torch.cat([a[:5], b[6:]])),
                       "picture_embedding": torch.stack([m.embedding(a[5:], "picture"), m.embedding(b[:6], "picture")]),
                       "text_embedding": torch.stack([m.embedding(a[:5], "text"), m.embedding(b[6:], "text")])}
        out |= {f"{tag}:output:{k}": v.numpy() for k, v in outputs.items()}
        scalars = []  # one number may be right by luck: the contrastive head's two over many batches
        for i in range(16):
            for v in m.p.values():
                v.grad = torch.zeros_like(v)
            other = [s[:1] + [20 + (k - 20 + 17 * i) % 280 for k in s[1:-1]] + s[-1:] for s in text]
            m.joint(pixels * np.float32(1 - i / 32), other, same, 100 + i)[0].backward()
            scalars.append([float(m.p["head.log_scale"].grad), float(m.p["head.bias"].grad)])
        out[f"{tag}:scalars"] = np.array(scalars, np.float64)
        for v in m.p.values():
            v.grad = torch.zeros_like(v)
        m.joint(pixels, text, same, SEED)[0].backward()
        out |= {f"{tag}:gradient:{k}": v.grad.numpy().copy() for k, v in m.p.items()}
        out[f"{tag}:losses"] = train(m, pixels, text, same)
        print(tag, out[f"{tag}:losses"].round(4).tolist())
    # What rounding costs along ten steps, of which an optimizer makes more or less by luck: three more runs in f32 from
    # weights moved by a rounding.
    for run in range(3):
        m = Model({k: (v * (1 + 2.0**-23 * rng.uniform(-1, 1, v.shape))).astype(np.float32) for k, v in w.items()},
                  torch.float32)
        for v in m.p.values():
            v.grad = torch.zeros_like(v)
        m.joint(pixels, text, same, SEED)[0].backward()
        # likewise for gradients of a few numbers, where one run's error may be next to nothing
        out |= {f"f32:gradient:{k}:{run}": v.grad.numpy().copy() for k, v in m.p.items() if v.numel() <= 64}
        out[f"f32:losses:{run}"] = train(m, pixels, text, same)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "model.safetensors")
    write(path, out, {"config": json.dumps(CONFIG), "torch": torch.__version__})
    print(path, os.path.getsize(path))


main()

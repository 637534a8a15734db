#!/usr/bin/env python3
"""The training step and the drawing of duet's model in PyTorch, for a comparison on one machine in one run.

  pip install torch numpy; python3 tests/bench/torch_peer.py [--threads 1 2] [--batch 64] [--compile] [--quick]

The same blocks, sequences and losses as fusion/joint.cc, on padded batches with a mask, as one would write it in PyTorch:
SDPA, fused AdamW, optionally autocast to bf16 and torch.compile. Prints samples per second of each variant.
Muon is left out on this side (AdamW for all weights), which favours PyTorch.
"""
import argparse, math, resource, time
import torch, torch.nn as nn, torch.nn.functional as F

ap = argparse.ArgumentParser()
ap.add_argument('--threads', type=int, nargs='+', default=[1, 2])
ap.add_argument('--batch', type=int, default=64)
ap.add_argument('--width', type=int, default=192)
ap.add_argument('--hidden', type=int, default=512)
ap.add_argument('--depths', type=int, nargs=3, default=[2, 2, 5])
ap.add_argument('--read', type=float, default=0.3, help='share of pictures that are also read, as loss.read')
ap.add_argument('--vocab', type=int, default=4096)
ap.add_argument('--refine', type=int, default=32, help='channels of the refiner, as model.refine; 0: none')
ap.add_argument('--compile', action='store_true')
ap.add_argument('--steps', type=int, default=5)
ap.add_argument('--draw', action='store_true')
a = ap.parse_args()
C, Fh, V, D, P = a.width, a.hidden, a.vocab, 64, 64
H = C // D


def rotate(x, pos):  # x (B,H,T,D), pos (B,T,2)
    q = D // 4
    freq = 100.0 ** (-torch.arange(q, device=x.device) / q)
    out = []
    for half in range(2):
        u = x[..., half * 2 * q:half * 2 * q + q]
        v = x[..., half * 2 * q + q:(half + 1) * 2 * q]
        ang = pos[:, None, :, half, None] * freq
        c, s = ang.cos().to(x.dtype), ang.sin().to(x.dtype)
        out += [u * c - v * s, u * s + v * c]
    return torch.cat(out, -1)


def rms(x):
    return x * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6).to(x.dtype)


class Block(nn.Module):
    def __init__(self, rows):
        super().__init__()
        self.qkv, self.proj = nn.Linear(C, 3 * C, bias=False), nn.Linear(C, C, bias=False)
        self.up, self.down = nn.Linear(C, 2 * Fh, bias=False), nn.Linear(Fh, C, bias=False)
        self.gq, self.gk = nn.Parameter(torch.ones(D)), nn.Parameter(torch.ones(D))
        own = torch.zeros(rows, 6 * C)
        own[:, 2 * C:3 * C] = own[:, 5 * C:] = 1
        self.own = nn.Parameter(own)

    def forward(self, x, mask, pos, is_image, t):
        m = self.own[0].expand(*x.shape[:2], -1)
        if t is not None:
            m = torch.where(is_image[..., None], (self.own[1] + t)[:, None], m)
        s1, b1, g1, s2, b2, g2 = m.to(x.dtype).chunk(6, -1)
        B, T, _ = x.shape
        q, k, v = self.qkv(rms(x) * (1 + s1) + b1).view(B, T, 3, H, D).permute(2, 0, 3, 1, 4)
        q, k = rotate(rms(q) * self.gq.to(q.dtype), pos), rotate(rms(k) * self.gk.to(k.dtype), pos)
        o = F.scaled_dot_product_attention(q, k, v.to(q.dtype), attn_mask=mask[:, None])
        x = x + g1 * self.proj(o.transpose(1, 2).reshape(B, T, C))
        u, w = self.up(rms(x) * (1 + s2) + b2).chunk(2, -1)
        return x + g2 * self.down(F.silu(u) * w)


class Refiner(nn.Module):  # fusion/refine.h, for 64 px in patches of 8
    def __init__(self, R):
        super().__init__()
        self.one, self.two, self.out = nn.Conv2d(32, R, 3, padding=1), nn.Conv2d(R, R, 3, padding=1), nn.Conv2d(R, 16, 1)
        self.time = nn.Linear(C, 2 * R, False)

    def forward(self, guess, noisy, e):
        B = len(guess)

        def cells(p):
            p = p.view(B, 8, 8, 4, 2, 4, 2, 4).permute(0, 4, 6, 7, 1, 3, 2, 5)
            return p.reshape(B, 16, 32, 32)
        one, two = self.time(e)[..., None, None].chunk(2, 1)
        u = F.silu(self.one(torch.cat([cells(guess), cells(noisy).to(guess.dtype)], 1)) + one)
        d = self.out(F.silu(self.two(u) + two))
        return guess + d.view(B, 2, 2, 4, 8, 4, 8, 4).permute(0, 4, 6, 5, 1, 7, 2, 3).reshape(B, P, 256)


class Duet(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(V, C) * 0.02)
        self.patch = nn.Linear(256, C)
        self.t1, self.t2 = nn.Linear(128, C), nn.Linear(C, C)
        self.tv, self.tf, self.th = nn.Linear(C, 6 * C, False), nn.Linear(C, 6 * C, False), nn.Linear(C, 2 * C, False)
        self.vision = nn.ModuleList(Block(2) for _ in range(a.depths[0]))
        self.text = nn.ModuleList(Block(1) for _ in range(a.depths[1]))
        self.fusion = nn.ModuleList(Block(2) for _ in range(a.depths[2]))
        self.flow, self.ei, self.et = nn.Linear(C, 256), nn.Linear(C, C, False), nn.Linear(C, C, False)
        self.refine = Refiner(a.refine) if a.refine else None
        self.scale, self.bias = nn.Parameter(torch.tensor(2.3)), nn.Parameter(torch.tensor(-10.0))

    def times(self, t):
        f = torch.exp(-math.log(10000.0) * torch.arange(64) / 64) * 1000 * t[:, None]
        e = F.silu(self.t2(F.silu(self.t1(torch.cat([f.cos(), f.sin()], -1)))))
        return self.tv(e), self.tf(e), self.th(e), e

    def forward(self, z, clean, t, ids, length):  # z (B,P,256), clean (R,P,256), ids (B,T)
        B, R, T = z.shape[0], clean.shape[0], ids.shape[1]
        allp = torch.cat([z, clean])
        tv, tf, th, e = self.times(torch.cat([t, torch.ones(R)]))
        g = torch.arange(P)
        ipos = torch.stack([g // 8, g % 8], -1).float()
        tpos = torch.arange(T)[:, None].expand(T, 2).float()
        valid = torch.arange(T)[None] < length[:, None]
        causal = torch.ones(T, T, dtype=torch.bool).tril()
        x = rms(self.table[ids])
        for b in self.text:
            x = b(x, (causal[None] & valid[:, None]) | torch.eye(T, dtype=torch.bool), tpos.expand(B, T, 2), None, None)
        y = self.patch(allp)
        ones = torch.ones(B + R, P, P, dtype=torch.bool)
        img = torch.ones(B + R, P, dtype=torch.bool)
        for b in self.vision:
            y = b(y, ones, ipos.expand(B + R, P, 2), img, tv)

        def fuse(x, mask, pos, is_image, t):
            for b in self.fusion:
                x = b(x, mask, pos, is_image, t)
            return x
        eye = torch.eye(T + P, dtype=torch.bool)
        # [text][image]
        m = torch.zeros(B, T + P, T + P, dtype=torch.bool)
        m[:, :T, :T] = causal & valid[:, None]
        m[:, T:, :T] = valid[:, None]
        m[:, T:, T:] = True
        is_image = (torch.arange(T + P) >= T).expand(B, -1)
        h1 = fuse(torch.cat([x.to(y.dtype), y[:B]], 1), m | eye, torch.cat([tpos, ipos]).expand(B, -1, 2), is_image, tf[:B])
        # [image][text]
        m = torch.zeros(R, T + P, T + P, dtype=torch.bool)
        m[:, :, :P] = True
        m[:, P:, P:] = causal & valid[:R, None]
        is_image = (torch.arange(T + P) < P).expand(R, -1)
        h2 = fuse(torch.cat([y[B:], x[:R].to(y.dtype)], 1), m | eye, torch.cat([ipos, tpos]).expand(R, -1, 2), is_image, tf[B:])
        s, b = th[:B].chunk(2, -1)
        pred = self.flow(rms(h1[:, T:]) * (1 + s[:, None]) + b[:, None])
        if self.refine:
            pred = self.refine(pred, z, e[:B])
        logits = rms(h2[:, P:]) @ self.table.t().to(h2.dtype)
        u = F.normalize(self.ei(rms(h2[:, :P]).mean(1)), dim=-1)
        w = valid[:R, :, None].to(h1.dtype)
        v = F.normalize(self.et((rms(h1[:R, :T]) * w).sum(1) / w.sum(1)), dim=-1)
        return pred, logits, (u @ v.t()).float() * self.scale.exp() + self.bias


def batch():
    B, R = a.batch, round(a.batch * a.read)
    torch.manual_seed(1)
    length = torch.tensor([9 + i % 16 for i in range(B)])
    return torch.rand(B, P, 256) * 2 - 1, torch.randint(300, 3300, (B, 24)), length, B, R


def loss_of(model, x, ids, length, B, R):
    t = torch.sigmoid(torch.randn(B) - 0.4)
    z = t[:, None, None] * x + (1 - t[:, None, None]) * torch.randn_like(x)
    pred, logits, s = model(z, x[:R], t, ids, length)
    w = 1 / (1 - t).clamp(min=0.05) ** 2
    flow = (w[:, None, None] * (pred.float() - x) ** 2).mean()
    target = torch.where(torch.arange(24)[None] < length[:R, None], ids[:R], -100)
    caption = F.cross_entropy(logits.float().flatten(0, 1), target.flatten())
    label = 2 * torch.eye(R) - 1
    return flow + 0.25 * caption - 0.1 * F.logsigmoid(label * s).sum(1).mean()


def train(model, opt, bf16, data):
    with torch.autocast('cpu', torch.bfloat16, enabled=bf16):
        l = loss_of(model, *data)
    opt.zero_grad(set_to_none=True)
    l.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()


print(f'torch {torch.__version__}, mkldnn {torch.backends.mkldnn.is_available()}')
data = batch()
for threads in a.threads:
    torch.set_num_threads(threads)
    for bf16 in (False, True):
        for compiled in ([False, True] if a.compile else [False]):
            model = Duet()
            fn = torch.compile(model) if compiled else model
            opt = torch.optim.AdamW(model.parameters(), lr=1e-4)
            for _ in range(2):
                train(fn, opt, bf16, data)
            times = []
            for _ in range(a.steps):
                s = time.perf_counter()
                train(fn, opt, bf16, data)
                times.append(time.perf_counter() - s)
            m = sorted(times)[len(times) // 2]
            name = f'{"bf16 autocast" if bf16 else "f32"}, {"compiled" if compiled else "eager"}, {threads} threads'
            print(f'train {name}: {m * 1e3:.1f} ms, {a.batch / m:.1f} samples/s, '
                  f'peak memory of the process so far {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB', flush=True)
            if a.draw:
                # 4 pictures, 16 guided steps: 8 sequences [text][image] each step, written the plain way
                ids, length = data[1][:8], data[2][:8]
                def draw():
                    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=bf16):
                        z = torch.randn(8, P, 256)
                        for k in range(16):
                            p, _, _ = fn(z, z[:1], torch.full((8,), k / 16), ids, length)
                            z = z + (p.float() - z) / (16 - k)
                draw()
                times = []
                for _ in range(3):
                    s = time.perf_counter()
                    draw()
                    times.append(time.perf_counter() - s)
                print(f'draw 4 x 64 px, 16 guided steps {name}: {sorted(times)[1] * 1e3:.1f} ms', flush=True)

#!/usr/bin/env python3
"""The training step and the drawing of duet's model in PyTorch, for a comparison on one machine in one run.

  pip install torch numpy; python3 tests/bench/torch_peer.py [--threads 1 2] [--batch 64] [--compile] [--draw]
  python3 tests/bench/torch_peer.py --device cuda [--json FILE]   the rows of tests/cuda/gpu_bench.cc: kernels, products,
                                       attention, steps and drawings in bf16, eager and compiled (--rows --tiny: on a CPU, to see it run)

The same blocks, sequences and losses as fusion/joint.cc, on padded batches with a mask, as one would write it in PyTorch:
SDPA, fused AdamW, optionally autocast to bf16 and torch.compile. Prints samples per second of each variant.
Muon is left out on this side (AdamW for all weights), which favours PyTorch.
"""
import argparse, json, math, resource, time
from dataclasses import dataclass
import torch, torch._functorch.config, torch.nn as nn, torch.nn.functional as F

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
ap.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
ap.add_argument('--rows', action='store_true', help='the rows of gpu_bench; always so with --device cuda')
ap.add_argument('--tiny', action='store_true', help='of the rows: sizes that show no speed')
ap.add_argument('--json', help='the rows as lines of JSON, for tests/bench/beside.py')
a = ap.parse_args()
D, P = 64, 64
on_card = a.device == 'cuda'


@dataclass
class Sizes:
    width: int
    hidden: int
    depths: list
    vocab: int
    refine: int


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
    def __init__(self, z, rows):
        super().__init__()
        C, Fh = z.width, z.hidden
        self.heads = C // D
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
        B, T, C = x.shape
        q, k, v = self.qkv(rms(x) * (1 + s1) + b1).view(B, T, 3, self.heads, D).permute(2, 0, 3, 1, 4)
        q, k = rotate(rms(q) * self.gq.to(q.dtype), pos), rotate(rms(k) * self.gk.to(k.dtype), pos)
        o = F.scaled_dot_product_attention(q, k, v.to(q.dtype), attn_mask=mask[:, None])
        x = x + g1 * self.proj(o.transpose(1, 2).reshape(B, T, C))
        u, w = self.up(rms(x) * (1 + s2) + b2).chunk(2, -1)
        return x + g2 * self.down(F.silu(u) * w)


class Refiner(nn.Module):  # fusion/refine.h, for 64 px in patches of 8
    def __init__(self, C, R):
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
    def __init__(self, z):
        super().__init__()
        C = z.width
        self.table = nn.Parameter(torch.randn(z.vocab, C) * 0.02)
        self.patch = nn.Linear(256, C)
        self.t1, self.t2 = nn.Linear(128, C), nn.Linear(C, C)
        self.tv, self.tf, self.th = nn.Linear(C, 6 * C, False), nn.Linear(C, 6 * C, False), nn.Linear(C, 2 * C, False)
        self.vision = nn.ModuleList(Block(z, 2) for _ in range(z.depths[0]))
        self.text = nn.ModuleList(Block(z, 1) for _ in range(z.depths[1]))
        self.fusion = nn.ModuleList(Block(z, 2) for _ in range(z.depths[2]))
        self.flow, self.ei, self.et = nn.Linear(C, 256), nn.Linear(C, C, False), nn.Linear(C, C, False)
        self.refine = Refiner(C, z.refine) if z.refine else None
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


def batch(B, read, words):  # words(i): tokens of caption i
    R = max(1, round(B * read))
    torch.manual_seed(1)
    length = torch.tensor([words(i) for i in range(B)])
    T = int(length.max())
    return torch.rand(B, P, 256) * 2 - 1, torch.randint(*((20, 200) if a.tiny else (300, 3300)), (B, T)), length, B, R


def loss_of(model, x, ids, length, B, R):
    t = torch.sigmoid(torch.randn(B) - 0.4)
    z = t[:, None, None] * x + (1 - t[:, None, None]) * torch.randn_like(x)
    pred, logits, s = model(z, x[:R], t, ids, length)
    w = 1 / (1 - t).clamp(min=0.05) ** 2
    flow = (w[:, None, None] * (pred.float() - x) ** 2).mean()
    target = torch.where(torch.arange(ids.shape[1])[None] < length[:R, None], ids[:R], -100)
    caption = F.cross_entropy(logits.float().flatten(0, 1), target.flatten())
    label = 2 * torch.eye(R) - 1
    return flow + 0.25 * caption - 0.1 * F.logsigmoid(label * s).sum(1).mean()


def autocast(bf16=True):
    return torch.autocast(a.device, torch.bfloat16, enabled=bf16)


def train(model, opt, bf16, data):
    with autocast(bf16):
        l = loss_of(model, *data)
    opt.zero_grad(set_to_none=True)
    l.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()


def draw(fn, B, bf16, ids, length, steps=16):  # guided: 2 B sequences [text][image] each step, written the plain way
    ids, length = ids[:1].expand(2 * B, -1), length[:1].expand(2 * B)
    with torch.no_grad(), autocast(bf16):
        z = torch.randn(2 * B, P, 256)
        for k in range(steps):
            p, _, _ = fn(z, z[:1], torch.full((2 * B,), k / steps), ids, length)
            z = z + (p.float() - z) / (steps - k)
    return z


def on_processor():
    z = Sizes(a.width, a.hidden, a.depths, a.vocab, a.refine)
    data = batch(a.batch, a.read, lambda i: 9 + i % 16)
    for threads in a.threads:
        torch.set_num_threads(threads)
        for bf16 in (False, True):
            for compiled in ([False, True] if a.compile else [False]):
                model = Duet(z)
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
                    draw(fn, 4, bf16, *data[1:3])
                    times = []
                    for _ in range(3):
                        s = time.perf_counter()
                        draw(fn, 4, bf16, *data[1:3])
                        times.append(time.perf_counter() - s)
                    print(f'draw 4 x 64 px, 16 guided steps {name}: {sorted(times)[1] * 1e3:.1f} ms', flush=True)


# The rows of tests/cuda/gpu_bench.cc, by the names they have there.

def wait():
    if on_card:
        torch.cuda.synchronize()


def seconds(times, f):  # of one call, after three that are not counted: torch.compile works in them
    for _ in range(3):
        f()
    wait()
    s = time.perf_counter()
    for _ in range(times):
        f()
    wait()
    return (time.perf_counter() - s) / times


rows_file = None


def row(what, by, s, note=''):
    print(f'{what + ", by " + by:<70} {s * 1e6:12.1f} us  {note}', flush=True)
    if rows_file:
        print(json.dumps({'row': what, 'by': by, 'us': s * 1e6, 'note': note}), file=rows_file, flush=True)


def scaled(n):
    return max(n >> 10, 8) if a.tiny else n


def values(*shape, dtype=torch.bfloat16, grad=False):
    return torch.randn(shape).to(dtype).requires_grad_(grad)


def forward_and_backward(what, f, inputs, times=20, back=', backward', ways=None):
    ways = ways or {'eager': f, 'compiled': torch.compile(f)}
    for by, g in ways.items():
        row(what, by, seconds(1 if a.tiny else times, lambda: g(*inputs)))
        y = g(*inputs)
        dy, wanted = torch.randn_like(y), [x for x in inputs if x.requires_grad]
        row(what + back, by, seconds(1 if a.tiny else times, lambda: torch.autograd.grad(y, wanted, dy, retain_graph=True)))


def kernel_rows():
    N, C, V, M, n = scaled(65536), 64 if a.tiny else 1024, scaled(16384), scaled(8192), scaled(64 << 20)
    Fh, H = C * 11 // 4, C // D
    pictures = max(N // 64, 1)
    x, h = values(pictures, N // pictures, C, grad=True), values(pictures, N // pictures, C, grad=True)
    scale, shift = (values(pictures, 1, C, dtype=torch.float32, grad=True) for _ in range(2))
    forward_and_backward('norm + modulation', lambda x, s, b: rms(x) * (1 + s).to(x.dtype) + b.to(x.dtype), (x, scale, shift))
    forward_and_backward('residual + gate', lambda x, h, g: x + g.to(x.dtype) * h, (x, h, scale))

    def swiglu(x):
        u, w = x.chunk(2, -1)
        return F.silu(u) * w
    forward_and_backward('swiglu', swiglu, (values(N, 2 * Fh, grad=True),))
    pos = torch.stack([torch.arange(N // pictures) // 8, torch.arange(N // pictures) % 8], -1).float().expand(pictures, -1, 2)
    gain = values(2, D, dtype=torch.float32, grad=True)

    def turned(qkv, gain):
        q, k, v = qkv.view(pictures, N // pictures, 3, H, D).permute(2, 0, 3, 1, 4)
        q, k = (rotate(rms(u) * g.to(u.dtype), pos) for u, g in zip((q, k), gain))
        return torch.stack([q, k, v])
    forward_and_backward('qk-norm + rotary', turned, (values(pictures, N // pictures, 3 * C, grad=True), gain))
    target = torch.zeros(M, dtype=torch.long)
    forward_and_backward('cross-entropy', lambda x: F.cross_entropy(x.float(), target, reduction='none'), (values(M, V, grad=True),))

    w = values(n, dtype=torch.float32, grad=True)
    w.grad = torch.randn(n)
    opt = torch.optim.AdamW([w], lr=1e-4, fused=True)
    row('adamw', 'eager', seconds(1 if a.tiny else 20, opt.step))
    row('gradient norm', 'eager', seconds(1 if a.tiny else 20, lambda: torch.linalg.vector_norm(w.grad)))
    m, still = torch.zeros(n), w.detach()
    row('ema', 'eager', seconds(1 if a.tiny else 20, lambda: m.lerp_(still, 0.1)))


def product_rows():
    N = scaled(24576)
    for what, O, C in [('qkv, width 512', 1536, 512), ('feed-forward up, width 512', 2816, 512),
                       ('feed-forward down, width 512', 512, 1408), ('qkv, width 1024', 3072, 1024),
                       ('feed-forward up, width 1024', 5632, 1024)]:
        if a.tiny:
            O, C = 24, 16
        x, w, dy, b = values(N, C), values(O, C), values(N, O), values(O)
        name, times = 'product, ' + what, 1 if a.tiny else 20
        row(name, 'eager', seconds(times, lambda: x @ w.t()))
        row(name + ', of its input', 'eager', seconds(times, lambda: dy @ w))
        row(name + ', of its weight', 'eager', seconds(times, lambda: dy.t() @ x))
        if what == 'qkv, width 512':
            row('product and bias, ' + what, 'eager', seconds(times, lambda: F.linear(x, w, b)))
            row('product and bias, ' + what + ', of both', 'eager', seconds(times, lambda: (dy.t() @ x, dy.sum(0))))


def attention_rows():
    for words, T, B, d in [(0, 64, 512, 64), (0, 256, 256, 64), (20, 84, 512, 64), (0, 1024, 64, 64), (0, 1024, 64, 128),
                           (0, 4096, 8, 128)]:
        if a.tiny and T > 84:
            continue
        B, H = (1, 1) if a.tiny else (B, 8)
        mask = None
        if words:
            i = torch.arange(T)
            mask = (i[None] < torch.where(i < words, i + 1, T)[:, None])[None, None]
        what = f'attention {T} tokens{" (20 words)" if words else ""}, head {d}'
        forward_and_backward(what, None, tuple(values(B, H, T, d, grad=True) for _ in range(3)), 5,
                             ways={'SDPA': lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask)})


def most_memory():
    return f', at most {torch.cuda.max_memory_allocated() >> 20} MiB at once' if on_card else ''


def sizes(width, depth):
    if a.tiny:
        return Sizes(64, 192, [1, 1, 2], 256, 0)
    return Sizes(width, (width * 8 // 3 + 63) // 64 * 64, [depth // 4, depth // 4, depth - 2 * (depth // 4)], 4096, 0)


def model_rows():
    for width, depth in [(512, 12), (768, 16), (1024, 24)]:
        B = 4 if a.tiny else 256
        data = batch(B, 0.5, lambda i: 15)
        for by in ('eager', 'compiled'):
            if on_card:
                torch.cuda.reset_peak_memory_stats()
            model = Duet(sizes(width, depth))
            fn = torch.compile(model) if by == 'compiled' else model
            opt = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
            s = seconds(1 if a.tiny else 10, lambda: train(fn, opt, True, data))
            row(f'step, width {width} depth {depth} batch 256', by, s,
                f'{B / s:.0f} samples/s, {B * 1.5 * (P + 15) / s:.0f} tokens/s{most_memory()}')
            del model, fn, opt
    model = Duet(sizes(512, 12))
    data = batch(2, 0.5, lambda i: 4)
    for by, fn in (('eager', model), ('compiled', torch.compile(model))):
        for B in (1, 16, 64):
            at, steps = (min(B, 2), 4) if a.tiny else (B, 16)
            s = seconds(1 if a.tiny else 3, lambda: draw(fn, at, True, *data[1:3], steps=steps))
            row(f'draw 64 px, 16 guided steps, batch {B}', by, s, f'{at / s:.0f} pictures/s')


print(f'torch {torch.__version__}, ' + (torch.cuda.get_device_name() if on_card and torch.cuda.is_available() else
                                        f'mkldnn {torch.backends.mkldnn.is_available()}'))
if not on_card and not a.rows:
    on_processor()
else:
    if on_card and not torch.cuda.is_available():
        raise SystemExit('torch_peer.py: --device cuda: PyTorch sees no card here; its build must be one for CUDA')
    torch.set_default_device(a.device)
    torch._functorch.config.donated_buffer = False  # else a compiled backward pass runs once
    rows_file = open(a.json, 'w') if a.json else None
    for part in (kernel_rows, product_rows, attention_rows, model_rows):
        part()

"""How the server does: a drawing through the API beside `duet generate`, then many clients at a time.

python3 tests/bench/serve.py build/duet [--clients 64] [--seconds 60] [duet serve OPTION...]
Python's own library only; everything on this machine, so that clients and server share its processors.
"""
import argparse
import base64
import http.client
import json
import random
import subprocess
import tempfile
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("duet")
parser.add_argument("--clients", type=int, default=64)
parser.add_argument("--seconds", type=float, default=60)
args, more = parser.parse_known_args()


def memory(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS"))


def call(port, method, path, body=None, timeout=600):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    c.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"} if body is not None else {})
    r = c.getresponse()
    data = r.read()
    c.close()
    return r.status, data


def percentile(times, p):
    return sorted(times)[min(len(times) - 1, int(len(times) * p))] * 1e3 if times else float("nan")


def one_request(port):
    body = {"prompt": "a red circle", "n": 4, "steps": 16, "seed": 1}
    call(port, "POST", "/v1/images/generations", body)
    times = []
    for _ in range(3):
        start = time.time()
        status, data = call(port, "POST", "/v1/images/generations", body)
        times.append(time.time() - start)
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    start = time.time()
    c.request("POST", "/v1/images/generations", json.dumps(body | {"stream": True, "partial_images": 3}), {"Content-Type": "application/json"})
    r = c.getresponse()
    r.readline()
    first = time.time() - start
    r.read()
    whole = time.time() - start
    with tempfile.TemporaryDirectory() as folder:
        out = subprocess.run([args.duet, "generate", "a red circle", "-n", "4", "--steps", "16", "--seed", "1", "--json", "-o", folder + "/a.png", *more],
                             check=True, capture_output=True, text=True).stdout
        seconds = json.loads(out)["seconds"]
        same = all(open(f"{folder}/a-{i + 1}.png", "rb").read() == base64.b64decode(d["b64_json"]) for i, d in enumerate(json.loads(data)["data"]))
    api = sorted(times)[1]
    print(f"4 pictures, 16 steps: API {api:.2f} s, duet generate {seconds:.2f} s (x {api / seconds:.2f}); same files: {same}; "
          f"first preview at {100 * first / whole:.0f} % of a stream of {whole:.2f} s", flush=True)
    return base64.b64decode(json.loads(data)["data"][0]["b64_json"])


def many(port, pid, png):
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    counts, health, waits, lock, end = {}, [], [], threading.Lock(), time.time() + args.seconds

    def client(i):
        pick = random.Random(i)
        while time.time() < end:
            kind = pick.choice(["draw", "draw", "caption", "classify", "embed"])
            start = time.time()
            if kind == "draw":
                path, body = "/v1/images/generations", {"prompt": "a blue star", "steps": pick.choice([4, 8, 16]), "guidance": pick.choice([1, 3]), "seed": i}
            elif kind == "caption":
                path, body = "/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}
            elif kind == "classify":
                path, body = "/v1/classify", {"image": url, "labels": ["star", "circle", "dog"]}
            else:
                path, body = "/v1/embeddings", {"input": ["a star", {"image": url}]}
            try:
                status = call(port, "POST", path, body)[0]
            except OSError as e:
                status = type(e).__name__
            with lock:
                counts[kind, status] = counts.get((kind, status), 0) + 1
                if status == 200:
                    waits.append(time.time() - start)
            if status == 429:
                time.sleep(0.5)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(args.clients)]
    for t in threads:
        t.start()
    sizes = []
    while any(t.is_alive() for t in threads):
        start = time.time()
        status, _ = call(port, "GET", "/health")
        health.append(time.time() - start)
        counts["health", status] = counts.get(("health", status), 0) + 1
        sizes.append(memory(pid))
        time.sleep(0.1)
    good = sum(n for (k, s), n in counts.items() if s == 200 and k != "health")
    bad = {f"{k} {s}": n for (k, s), n in counts.items() if s not in (200, 429)}
    print(f"{args.clients} clients, {args.seconds:.0f} s: {good} answers ({good / args.seconds:.1f}/s), {sum(n for (_, s), n in counts.items() if s == 429)} told to wait, "
          f"failures {bad or 'none'}; answer p50 {percentile(waits, 0.5):.0f} ms, p99 {percentile(waits, 0.99):.0f} ms; "
          f"/health p50 {percentile(health, 0.5):.1f} ms, p99 {percentile(health, 0.99):.1f} ms of {len(health)}; "
          f"memory {sizes[len(sizes) // 4]:.0f} -> {sizes[-1]:.0f} MB", flush=True)


server = subprocess.Popen([args.duet, "serve", "--port", "0", *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
try:
    port = int(server.stdout.readline().rsplit(":", 1)[1].strip(" /\n"))
    many(port, server.pid, one_request(port))
finally:
    server.terminate()
    print(f"SIGTERM: exit code {server.wait(60)}")

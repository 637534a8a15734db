"""How the server does: a drawing through the API beside `duet generate`, pictures a second beside it, then many clients at a time.

python3 tests/bench/serve.py build/duet [--clients 64] [--seconds 60] [duet serve OPTION...]
Python's own library only; everything on this machine, so that clients and server share its processors.
"""
import argparse
import base64
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../api"))
from served import Server


def percentile(times, p):
    """In ms, of seconds."""
    return sorted(times)[min(len(times) - 1, int(len(times) * p))] * 1e3 if times else float("nan")


def one_request(server, duet, more):
    """Bytes of a PNG that was drawn."""
    body = {"prompt": "a red circle", "n": 4, "steps": 16, "seed": 1}
    server.call("POST", "/v1/images/generations", body)
    times = []
    for _ in range(3):
        start = time.time()
        data = server.call("POST", "/v1/images/generations", body)[2]
        times.append(time.time() - start)
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    start = time.time()
    c.request("POST", "/v1/images/generations", json.dumps(body | {"stream": True, "partial_images": 3}), {"Content-Type": "application/json"})
    r = c.getresponse()
    r.readline()
    first = time.time() - start
    r.read()
    whole = time.time() - start
    with tempfile.TemporaryDirectory() as folder:
        out = subprocess.run([duet, "generate", "a red circle", "-n", "4", "--steps", "16", "--seed", "1", "--json", "-o", folder + "/a.png", *more],
                             check=True, capture_output=True, text=True).stdout
        seconds = json.loads(out)["seconds"]
        same = all(open(f"{folder}/a-{i + 1}.png", "rb").read() == base64.b64decode(d["b64_json"]) for i, d in enumerate(json.loads(data)["data"]))
    api = sorted(times)[1]
    print(f"4 pictures, 16 steps: API {api:.2f} s, duet generate {seconds:.2f} s (x {api / seconds:.2f}); same files: {same}; "
          f"first preview at {100 * first / whole:.0f} % of a stream of {whole:.2f} s", flush=True)
    return base64.b64decode(json.loads(data)["data"][0]["b64_json"])


def throughput(server, duet, more):
    """Pictures a second through the API beside the model alone, in the batch that suits it best. Each twice, in turn."""
    body = {"prompt": "a red circle", "n": 4, "steps": 16}
    alone, served = {}, 0
    for _ in range(2):
        for n in (4, 8, 16, 32):
            with tempfile.TemporaryDirectory() as folder:
                out = subprocess.run([duet, "generate", "a red circle", "-n", str(n), "--steps", "16", "--seed", "1", "--json", "-o", folder + "/a.png", *more],
                                     check=True, capture_output=True, text=True).stdout
            alone[n] = max(alone.get(n, 0), n / json.loads(out)["seconds"])
        end, done, lock = time.time() + 10, [], threading.Lock()

        def client():
            while time.time() < end:
                status = server.call("POST", "/v1/images/generations", body)[0]
                with lock:
                    done.append(time.time() if status == 200 else 0)
                if status == 429:
                    time.sleep(0.1)
        threads = [threading.Thread(target=client) for _ in range(12)]
        start = time.time()
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        served = max(served, 4 * sum(t > 0 for t in done) / (time.time() - start))
    best = max(alone, key=alone.get)
    print(f"pictures/s: 12 clients {served:.1f}, duet generate {alone[best]:.1f} with {best} at a time "
          f"({', '.join(f'{n}: {r:.1f}' for n, r in alone.items())}): x {served / alone[best]:.2f}", flush=True)


def many(server, clients, seconds, png):
    """So many clients with requests of every kind for so long; a summary of it."""
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    counts, health, waits, lock, end = {}, [], [], threading.Lock(), time.time() + seconds

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
                status = server.call("POST", path, body)[0]
            except OSError as e:
                status = type(e).__name__
            with lock:
                counts[kind, status] = counts.get((kind, status), 0) + 1
                if status == 200:
                    waits.append(time.time() - start)
            if status == 429:
                time.sleep(0.5)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    for t in threads:
        t.start()
    sizes = []
    while any(t.is_alive() for t in threads):
        start = time.time()
        status = server.call("GET", "/health")[0]
        health.append(time.time() - start)
        counts["health", status] = counts.get(("health", status), 0) + 1
        sizes.append(server.memory())
        time.sleep(0.1)
    return {"answers": sum(n for (k, s), n in counts.items() if s == 200 and k != "health"),
            "told to wait": sum(n for (_, s), n in counts.items() if s == 429),
            "failures": {f"{k} {s}": n for (k, s), n in counts.items() if s not in (200, 429)},
            "waits": waits, "health": health, "memory": (sizes[len(sizes) // 4], sizes[-1])}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("duet")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    args, more = parser.parse_known_args()
    with Server(args.duet, *more) as server:
        png = one_request(server, args.duet, more)
        throughput(server, args.duet, more)
        r = many(server, args.clients, args.seconds, png)
        print(f"{args.clients} clients, {args.seconds:.0f} s: {r['answers']} answers ({r['answers'] / args.seconds:.1f}/s), {r['told to wait']} told to wait, "
              f"failures {r['failures'] or 'none'}; answer p50 {percentile(r['waits'], 0.5):.0f} ms, p99 {percentile(r['waits'], 0.99):.0f} ms; "
              f"/health p50 {percentile(r['health'], 0.5):.1f} ms, p99 {percentile(r['health'], 0.99):.1f} ms of {len(r['health'])}; "
              f"memory {r['memory'][0]:.0f} -> {r['memory'][1]:.0f} MB", flush=True)
        server.signal()
        print(f"SIGTERM: exit code {server.process.wait(60)}")


if __name__ == "__main__":
    main()

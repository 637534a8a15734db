"""What people who mean no good, or many at a time, can do to `duet serve`: python3 tests/bench/attack.py build/duet

Starts its servers itself, on 127.0.0.1; counts and times are bounded (about four minutes in all). One table last; exit
code 1 where a target is missed. `--only S7,S12`: some of them. `--minutes M`: also 64 clients for so long (S11). Other
options go to `duet serve`. The names are those of the scorecard that the targets come from.
"""
import argparse
import base64
import concurrent.futures
import gzip
import http.client
import json
import os
import random
import resource
import socket
import sys
import tempfile
import threading
import time

from serve import many, percentile
from served import Server, png

MB = 1 << 20
KEY = "correct-horse-battery-staple"
ROUTE = "/v1/images/generations"
DRAW = {"prompt": "a red circle", "steps": 4, "seed": 7}
LONG = {"prompt": "a red circle", "steps": 200, "n": 10, "size": "128x128"}
ATTACKS = []


def attack(name, target):
    def add(f):
        ATTACKS.append((name, target, f))
        return f
    return add


# --- connections

def connect(server, timeout=30, receive=None):
    s = socket.socket()
    s.settimeout(timeout)
    if receive:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    s.connect(("127.0.0.1", server.port))
    return s


def head(method, path, *lines):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def post(path, body, *lines):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head("POST", path, "Content-Type: application/json", f"Content-Length: {len(data)}", *lines) + data


def form(fields, files):
    """(content type, bytes) of multipart/form-data."""
    parts = [f'--XX\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
    parts += [f'--XX\r\nContent-Disposition: form-data; name="{k}"; filename="a.png"\r\n\r\n'.encode() + v + b"\r\n" for k, v in files.items()]
    return "multipart/form-data; boundary=XX", b"".join(parts) + b"--XX--\r\n"


def status_of(s):
    """Of the next answer; 0: the connection ended without one."""
    data = b""
    try:
        while b"\r\n" not in data:
            piece = s.recv(4096)
            if not piece:
                return 0
            data += piece
    except OSError:
        return 0
    return int(data.split(b" ", 2)[1])


def pour(server, first, pieces, last=b""):
    """(status, MB that were taken) of a request that goes on and on."""
    sent = 0
    with connect(server) as s:
        try:
            s.sendall(first)
            for piece in pieces:
                s.sendall(piece)
                sent += len(piece)
            s.sendall(last)
        except OSError:
            pass
        return status_of(s), sent / 1e6


def wait_for(what, seconds=60, step=0.01):
    """Seconds until it is true; none: not so long."""
    start = time.time()
    while not what():
        if time.time() > start + seconds:
            return None
        time.sleep(step)
    return time.time() - start


def idle(server):
    m = server.metrics()
    return m["duet_queue_waiting"] + m["duet_pictures_in_batch"] + m["duet_reading_runs"] == 0


class Growth:
    """The most memory that a server takes on while the block runs, MB."""

    def __init__(self, server):
        self.server, self.over = server, threading.Event()

    def __enter__(self):
        self.before = self.most = self.server.memory()

        def look():
            while not self.over.wait(0.01):
                self.most = max(self.most, self.server.memory())
        self.thread = threading.Thread(target=look)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.most = max(self.most, self.server.memory())

    @property
    def mb(self):
        return self.most - self.before


# --- requests that are too large, or no requests

@attack("S2", "431 or closed; +8 MB")
def lines_and_headers(server):
    with Growth(server) as g:
        line, taken = pour(server, b"", (b"A" * MB for _ in range(200)))
        lines = (b"".join(b"X-%d: %s\r\n" % (i * 1000 + j, b"y" * 60) for j in range(1000)) for i in range(500))
        headers, some = pour(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n", lines, b"\r\n")
    return line in (0, 400, 431) and headers in (0, 431) and g.mb <= 8, f"line {line} after {taken:.0f} MB, headers {headers} after {some:.0f} MB; +{g.mb:.1f} MB"


@attack("S3", "413 before the body; +8 MB")
def lengths(server):
    with Growth(server) as g:
        got = [pour(server, head("POST", path, "Content-Type: application/json", f"Content-Length: {n}"), ())[0]
               for path in (ROUTE, "/v1/images/edits", "/v1/classify") for n in (50_000_000, 2**63 - 1)]
        odd = [pour(server, head("POST", ROUTE, "Content-Type: application/json", f"Content-Length: {n}"), ())[0] for n in ("-1", "1e3", "5, 6", 2**65)]
    return set(got) == {413} and set(odd) == {400} and g.mb <= 8, f"{sorted(set(got))}, no numbers {sorted(set(odd))}; +{g.mb:.1f} MB"


@attack("S4", "413 and 400; +8 MB")
def chunks(server):
    chunked = head("POST", ROUTE, "Content-Type: application/json", "Transfer-Encoding: chunked")
    with Growth(server) as g:
        large, taken = pour(server, chunked, (b"%x\r\n" % MB + b"z" * MB + b"\r\n" for _ in range(200)), b"0\r\n\r\n")
        tiny, _ = pour(server, chunked, (b"1\r\nz\r\n" * 10000 for _ in range(110)), b"0\r\n\r\n")
        odd = [pour(server, chunked, [c])[0] for c in (b"-2\r\nabc", b"fffffffffffffffff\r\n", b"zz\r\n", b"1;" + b"x" * 100_000 + b"\r\nz\r\n")]
        both = pour(server, head("POST", ROUTE, "Content-Type: application/json", "Transfer-Encoding: chunked", "Content-Length: 5"), [b"0\r\n\r\n"])[0]
    fine = large == 413 and tiny == 413 and set(odd) <= {400, 413, 431} and both == 400 and g.mb <= 8
    return fine, f"200 MB {large} after {taken:.0f} MB, 1.1 M chunks {tiny}, bad ones {odd}, with a length {both}; +{g.mb:.1f} MB"


@attack("S5", "415; +8 MB")
def bombs(server):
    packed = gzip.compress(bytes(300_000_000), 9)
    with Growth(server) as g:
        got = [server.call("POST", ROUTE, packed, {"Content-Type": "application/json", "Content-Encoding": how})[0] for how in ("gzip", "deflate", "br", "identity")]
    return set(got) == {415} and g.mb <= 8, f"{len(packed) // 1000} kB of gzip: {sorted(set(got))}; +{g.mb:.1f} MB"


@attack("S6", "one page at most; +8 MB")
def ranges(server):
    whole = len(server.call("GET", "/")[2])
    with Growth(server) as g:
        status, _, data = server.call("GET", "/", headers={"Range": "bytes=" + ",".join(["0-"] * 300)})
    return status in (200, 206, 416) and len(data) <= whole and g.mb <= 8, f"300 ranges: {status}, {len(data)} of {whole} bytes; +{g.mb:.1f} MB"


# --- many that are slow

@attack("S7", "1,000 slow: /health p99 50 ms; 408; +8 MB")
def slow(server):
    times, answers, held = [], {}, []
    with Growth(server) as g:
        for i in range(1000):
            s = connect(server, receive=4096 if i % 3 == 2 else None)
            if i % 3 == 0:
                s.sendall(b"GET /health HTTP/1.1\r\nX: ")
            elif i % 3 == 1:
                s.sendall(head("POST", ROUTE, "Content-Type: application/json", "Content-Length: 1000") + b"{")
            else:  # asks for much and reads nothing
                s.sendall(head("GET", "/app.js") * 60)
            held.append(s)
        start = time.time()
        while time.time() < start + 14:
            if int(time.time() - start) % 2 == 0:
                for s in held[::50]:  # a byte now and then
                    try:
                        s.sendall(b"a")
                    except OSError:
                        pass
            t = time.time()
            status = server.call("GET", "/health")[0]
            times.append(time.time() - t if status == 200 else 99)
            time.sleep(0.02)
        for s in held[::3]:
            status = status_of(s)
            answers[status] = answers.get(status, 0) + 1
        for s in held:
            s.close()
    p99 = percentile(times, 0.99)
    return p99 <= 50 and set(answers) == {408} and g.mb <= 8, f"p50 {percentile(times, 0.5):.1f}, p99 {p99:.1f} ms of {len(times)}; slow headers got {answers}; +{g.mb:.1f} MB"


# --- strangers

@attack("S8", "401 on every route, the key nowhere")
def keys(_, command):
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(KEY + "\n")
        f.flush()
        with Server(*command, "--api-key-file", f.name) as server:
            routes = [(m.upper(), path) for path, ops in json.loads(server.call("GET", "/openapi.json", headers={"Authorization": "Bearer " + KEY})[2])["paths"].items() for m in ops]
            wrong = ["", "Bearer", "Bearer ", "Bearer none", "Bearer " + KEY[:-1], "Bearer " + KEY + "x", "Bearer " + "x" * 8000, "bearer " + KEY[::-1], "Basic !!",
                     "Basic " + base64.b64encode(b"a:b").decode(), KEY]
            got = {}
            for method, path in routes:
                for w in wrong:
                    status = server.call(method, path.replace("{id}", "x"), headers={"Authorization": w} if w else {})[0]
                    got[path == "/health", status] = got.get((path == "/health", status), 0) + 1
            nul = pour(server, head("GET", "/v1/models", "Authorization: Bearer " + KEY + "\0"), ())[0]
            right = server.call("GET", "/v1/models", headers={"Authorization": "Bearer " + KEY})[0]

            times = {"X" + KEY[1:]: [], KEY[:-1] + "X": []}
            for _ in range(400):
                for key, spent in times.items():
                    t = time.perf_counter()
                    server.call("GET", "/v1/models", headers={"Authorization": "Bearer " + key})
                    spent.append(time.perf_counter() - t)
            first, last = (percentile(spent, 0.5) * 1e3 for spent in times.values())
            told = server.log() + " ".join(server.command) + server.call("GET", "/metrics", headers={"Authorization": "Bearer " + KEY})[2].decode()
    fine = set(got) == {(False, 401), (True, 200)} and nul in (0, 400, 401) and right == 200 and KEY not in told
    return fine, f"{len(routes)} routes x {len(wrong)} keys: {sorted(set(s for _, s in got))}, a NUL {nul}; wrong at its first byte {first:.0f} us, last {last:.0f} us"


@attack("S9", "403, 415, no CORS")
def origins(server):
    hosts = [server.call("GET", "/v1/models", headers={"Host": h})[0] for h in ("evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "")]
    pages = [server.call("POST", ROUTE, DRAW, {"Origin": o})[0] for o in ("null", "http://evil.example", "http://localhost:1", "https://127.0.0.1.evil.example")]
    forms = [server.call("POST", path, b"prompt=a", {"Content-Type": t})[0] for path in (ROUTE, "/v1/chat/completions", "/v1/embeddings", "/sdapi/v1/txt2img", "/sdapi/v1/options")
             for t in ("text/plain", "application/x-www-form-urlencoded", "text/plain; application/json")]
    status, headers, _ = server.call("OPTIONS", ROUTE, headers={"Access-Control-Request-Method": "POST"})
    cors = [k for r in (headers, server.call("GET", "/health", headers={"Origin": f"http://127.0.0.1:{server.port}"})[1]) for k in r if k.startswith("access-control")]
    return set(hosts + pages) == {403} and set(forms) == {415} and status >= 400 and not cors, f"hosts and pages {sorted(set(hosts + pages))}, forms {sorted(set(forms))}, OPTIONS {status}, CORS headers {len(cors)}"


@attack("S10", "2,000 paths, no file")
def paths(server):
    pick, got = random.Random(1), {}
    up = ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..\\", "..%5c", "....//", "%252e%252e%252f", "..%c0%af", "..%00/", "./", "//"]
    for _ in range(2000):
        path = "/" + "".join(pick.choice(up) for _ in range(pick.randint(1, 12))) + pick.choice(["etc/passwd", "etc%2fpasswd", "proc/self/environ", "CMakeLists.txt", "assets/xs/model.safetensors"])
        with connect(server) as s:
            s.sendall(head("GET", path))
            status = status_of(s)
        got[status] = got.get(status, 0) + 1
    return set(got) <= {400, 404}, str(got)


# --- more than it can do

@attack("S12", "500/s: 429 in 20 ms (p99) with Retry-After; as before in 5 s")
def overload(server):
    def one():
        t = time.time()
        server.call("POST", ROUTE, DRAW)
        return time.time() - t
    before, times, bad, lock = percentile([one() for _ in range(9)], 0.5), [], {}, threading.Lock()
    holders = []
    for _ in range(9):  # 90 pictures: more than the queue and the batch hold
        s = connect(server)
        s.sendall(post(ROUTE, LONG))
        holders.append(s)
    full = wait_for(lambda: server.metrics()["duet_queue_waiting"] >= 54)
    seconds, rate, clients = 10, 500, 10
    start = time.time()

    def client(i):
        c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for k in range(seconds * rate // clients):
            due = start + (k * clients + i) / rate
            if due > time.time():
                time.sleep(due - time.time())
            t = time.time()
            c.request("POST", ROUTE, json.dumps(DRAW | {"n": 10}), {"Content-Type": "application/json"})
            r = c.getresponse()
            r.read()
            with lock:
                times.append(time.time() - t)
                if r.status != 429 or int(r.headers["Retry-After"]) < 1:
                    bad[r.status] = bad.get(r.status, 0) + 1
    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    spent = time.time() - start
    for s in holders:
        s.close()
    back = wait_for(lambda: percentile([one() for _ in range(3)], 0.5) <= 1.5 * before + 20, 30)
    p99 = percentile(times, 0.99)
    fine = full is not None and not bad and p99 <= 20 and back is not None and back <= 5
    return fine, f"{len(times) / spent:.0f}/s: p50 {percentile(times, 0.5):.1f}, p99 {p99:.1f} ms, other answers {bad or 'none'}; as before ({before:.0f} ms) after {'never' if back is None else f'{back:.1f} s'}"


# --- those that leave

@attack("S13", "500 disconnects: no place lost; compute ends in one step; +8 MB")
def leaving(server):
    pick = random.Random(2)
    picture = png(64, 64, lambda x, y: (x, y, 0, 255))
    kind, data = form({"prompt": "a", "steps": "100"}, {"image": picture})
    edit = head("POST", "/v1/images/edits", "Content-Type: " + kind, f"Content-Length: {len(data)}") + data
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    requests = [post(ROUTE, LONG), post(ROUTE, LONG | {"n": 2, "stream": True, "partial_images": 10}), edit,
                post("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}], "stream": True})]
    wait_for(lambda: idle(server))
    files, cancelled = server.descriptors(), server.metrics()["duet_cancelled_total"]
    with Growth(server) as g:
        for i in range(500):
            with connect(server) as s:
                request = requests[i % len(requests)]
                s.sendall(request if i % 7 else request[:pick.randint(1, len(request))])
                time.sleep(pick.random() * 0.02)
        quiet = wait_for(lambda: idle(server) and server.descriptors() <= files + 1)
    cancelled = server.metrics()["duet_cancelled_total"] - cancelled
    m = server.metrics()
    step = m["duet_engine_busy_seconds_total"] / max(1, m["duet_passes_total"])
    waits, after = [], []
    for _ in range(20):  # one drawing alone, left in the middle
        s = connect(server)
        start = server.metrics()["duet_passes_total"]
        s.sendall(post(ROUTE, LONG | {"n": 1}))
        wait_for(lambda: server.metrics()["duet_passes_total"] > start + 3, step=0)
        at = server.metrics()["duet_passes_total"]
        s.close()
        waits.append(wait_for(lambda: idle(server), step=0) or 99)
        after.append(server.metrics()["duet_passes_total"] - at)
    # The clock also holds the question whether it is idle, and its way there and back.
    fine = quiet is not None and cancelled > 100 and percentile(waits, 0.5) <= 250 and g.mb <= 8
    return fine, f"{cancelled:.0f} cancelled, idle after {'never' if quiet is None else f'{quiet:.2f} s'}; one alone: p50 {percentile(waits, 0.5):.0f} ms, at most {max(after):.0f} passes of {step * 1e3:.0f} ms; +{g.mb:.1f} MB"


@attack("S14", "504 within 100 ms of the deadline")
def deadlines(_, command):
    late, other = [], 0
    with Server(*command, "--timeout", "1") as server:
        for n in (1, 5):
            with concurrent.futures.ThreadPoolExecutor(4) as pool:  # some are drawn, some wait
                def one(_):
                    t = time.time()
                    status = server.call("POST", ROUTE, LONG | {"n": n, "size": "128x128"})[0]
                    return status, time.time() - t
                for status, spent in pool.map(one, range(8)):
                    other += status != 504
                    late.append(spent - 1)
    return not other and max(late) <= 0.1, f"{len(late)} of {len(late) + other}: at most {max(late) * 1e3:.0f} ms late"


# --- ends

@attack("S15", "10 x SIGTERM under load: all answered, exit 0, within 30 s")
def ends(_, command):
    pick, whole, clean, lost, slowest, codes = random.Random(3), 0, 0, 0, 0, set()
    for _ in range(10):
        with Server(*command) as server:
            def one(i):
                try:
                    status, _, data = server.call("POST", ROUTE, DRAW | {"n": 2, "steps": 20, "stream": bool(i % 2), "partial_images": 2})
                except OSError as e:
                    return type(e).__name__
                except http.client.HTTPException as e:
                    return type(e).__name__
                return "whole" if status == 200 and (b"completed" in data or not i % 2) else status
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                jobs = [pool.submit(one, i) for i in range(8)]
                wait_for(lambda: server.metrics()["duet_pictures_in_batch"] > 0)  # accepted, all that came by now
                time.sleep(pick.random() * 0.3)
                server.signal()
                t = time.time()
                codes.add(server.process.wait(60))
                slowest = max(slowest, time.time() - t)
                got = [j.result() for j in jobs]
            whole += got.count("whole")
            clean += sum(1 for g in got if g in (503, 429, "ConnectionRefusedError"))
            lost += sum(1 for g in got if g not in ("whole", 503, 429, "ConnectionRefusedError"))
    return codes == {0} and not lost and slowest <= 30, f"{whole} answered whole, {clean} refused, {lost} lost; exit {sorted(codes)}, slowest {slowest:.1f} s"


@attack("S16", "50 decoders killed: one 422 each, the next answer within 1 s")
def crashes(server):
    large = "data:image/png;base64," + base64.b64encode(png(8000, 1900, lambda x, y: b"\0\0\0\xff")).decode()
    small = "data:image/png;base64," + base64.b64encode(png(64, 64, lambda x, y: (x, y, 0, 255))).decode()
    body, killed, seen, slowest, end = {"image": large, "labels": ["a", "b"]}, 0, {}, 0, time.time() + 120
    while killed < 50 and time.time() < end:
        answer = []
        t = threading.Thread(target=lambda: answer.append(server.call("POST", "/v1/classify", body)))
        t.start()
        hit = 0
        while t.is_alive() and not hit:
            hit = server.kill_decoders()
        t.join()
        status, headers, data = answer[0]
        if status == 200:  # it was done before it was hit
            continue
        killed += 1
        named = headers.get("x-request-id", "").startswith("req_") and json.loads(data)["error"]["param"] == "image"
        seen[status, named] = seen.get((status, named), 0) + 1
        start = time.time()
        if server.call("POST", "/v1/classify", {"image": small, "labels": ["a", "b"]})[0] != 200:
            seen["the next"] = 1
        slowest = max(slowest, time.time() - start)
    return killed == 50 and set(seen) == {(422, True)} and slowest <= 1, f"{killed} killed: {seen}; the next after {slowest * 1e3:.0f} ms at most"


@attack("S17", "64 clients: nothing of others, the same bytes as alone")
def isolation(server):
    def one(i):
        body = {"prompt": f"a star canary{i:03d}x", "steps": 3 + i % 5, "guidance": 1 + i % 3, "seed": i, "size": ("64x64", "96x32", "48x48")[i % 3]}
        while True:
            status, headers, data = server.call("POST", ROUTE, body)
            if status != 429:
                return status, data
            time.sleep(int(headers["retry-after"]))
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        together = list(pool.map(one, range(64)))
    foreign = different = failed = 0
    for i, (status, data) in enumerate(together):
        failed += status != 200
        if status != 200:
            continue
        file = base64.b64decode(json.loads(data)["data"][0]["b64_json"])
        foreign += any(f"canary{k:03d}x".encode() in file + data for k in range(64) if k != i) or f"canary{i:03d}x".encode() not in file
        different += file != base64.b64decode(json.loads(one(i)[1])["data"][0]["b64_json"])
    told = "canary" in server.log() + server.call("GET", "/metrics")[2].decode()
    return not (foreign or different or failed or told), f"{failed} failed, {foreign} with another's words, {different} unlike alone; words in logs or metrics: {'yes' if told else 'no'}"


def soak(server, minutes):
    picture = base64.b64decode(json.loads(server.call("POST", ROUTE, DRAW)[2])["data"][0]["b64_json"])
    files = server.descriptors()
    many(server, 64, 10, picture)  # until all that grows has grown
    r = many(server, 64, minutes * 60, picture)
    wait_for(lambda: server.descriptors() <= files + 2, 10)
    p99, (early, late) = percentile(r["health"], 0.99), r["memory"]
    fine = not r["failures"] and p99 <= 50 and late <= early * 1.05 and server.descriptors() <= files + 2
    return fine, f"{r['answers'] / minutes / 60:.0f} answers/s, {r['told to wait']} told to wait, failures {r['failures'] or 'none'}; /health p99 {p99:.1f} ms; {early:.0f} -> {late:.0f} MB; descriptors {files} -> {server.descriptors()}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("duet")
    parser.add_argument("--only", default="")
    parser.add_argument("--minutes", type=float, default=0)
    args, more = parser.parse_known_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    chosen = [a for a in ATTACKS if not args.only or a[0] in args.only.split(",")]
    command, rows = (args.duet, *more), []

    def note(name, target, fine, what, spent):
        rows.append((name, "pass" if fine else "MISSED", f"{spent:.0f} s", target, what))
        print(f"{name} {rows[-1][1]}: {what}", flush=True)

    with Server(*command) as server:
        for _ in range(20):  # what a server that works has in memory
            server.call("POST", ROUTE, DRAW | {"n": 10})
            server.call("POST", ROUTE, b"{" + b" " * 900_000, {"Content-Type": "application/json"})
        for name, target, f in chosen:
            start = time.time()
            try:
                fine, what = f(server) if f.__code__.co_argcount == 1 else f(server, command)
                fine = fine and server.call("GET", "/health")[0] == 200
            except Exception as e:
                fine, what = False, f"{type(e).__name__}: {e}"
            note(name, target, fine, what, time.time() - start)
        if args.minutes and (not args.only or "S11" in args.only.split(",")):
            start = time.time()
            fine, what = soak(server, args.minutes)
            note("S11", f"{args.minutes:g} min of 64 clients: only 429 fail; /health p99 50 ms; memory flat", fine, what, time.time() - start)
    print("\n| attack | | time | target | measured |\n|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    missed = sum(row[1] != "pass" for row in rows)
    print(f"{len(rows) - missed} of {len(rows)} held")
    sys.exit(bool(missed) or not rows)


if __name__ == "__main__":
    main()

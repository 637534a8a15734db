"""Requests that are nearly right, to every route of /openapi.json: python3 tests/fuzz/api_fuzz.py build-asan/duet

`./dev fuzz api [REQUESTS]` builds the server with AddressSanitizer and UBSan and runs this. Each request follows from
its number and --seed alone; `--first N --requests 1` sends one again. Fails on a status of 500 and more, an answer
without its request id or out of OpenAI's shape, and any word of a sanitizer.
"""
import argparse
import base64
import collections
import concurrent.futures
import http.client
import json
import os
import random
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../api"))
from served import Server, png

KEY = "correct-horse-battery-staple"
PICTURES = [png(w, h, lambda x, y: (x * 9 % 256, y * 5 % 256, 99, 255 - x % 2 * 255)) for w, h in ((8, 8), (64, 64), (1, 1), (70, 33), (1, 300))]
NUMBERS = ["-1", "0", "1", "2", "0.5", "1.5", "-0", "2147483647", "2147483648", "-2147483649", "9007199254740993", "9223372036854775807", "9223372036854775808",
           "18446744073709551616", "1e308", "1e309", "-1e400", "1e-400", "NaN", "Infinity", "1" * 400, "0x10", "01", "1.", ".5", "+1"]
TEXTS = ["", " ", "a", "a red circle", "빨간 원", "👩‍👩‍👧", "\u202egnp", "\0", "\ud800", "a\nb", "<script>", "../../etc/passwd", "%s%n", "x" * 300, "x" * 5000, "가" * 2000, "auto", "64x64", "true", "1"]
ODD = ["null", "true", "false", "[]", "{}", "[[]]", "[null]", '{"a":{"a":{"a":[]}}}', "[" * 600 + "]" * 600, '"\\ud800"', '"\\u0000"', "[1,[2,[3]]]"]


def text_of(pick):
    return json.dumps(pick.choice(TEXTS), ensure_ascii=pick.random() < 0.5)


def picture(pick):
    """Bytes that are a picture, or were one."""
    data = bytearray(pick.choice(PICTURES))
    if pick.random() < 0.4:
        for _ in range(pick.randint(1, 8)):
            data[pick.randrange(len(data))] = pick.choice([0, 1, 127, 128, 255, pick.randrange(256)])
    if pick.random() < 0.1:
        del data[pick.randrange(len(data)):]
    if pick.random() < 0.05:
        data = bytearray(pick.choice([b"", b"\xff\xd8", b"RIFF\0\0\0\0WEBPVP8X", b"GIF89a", b"<svg/>", bytes(pick.randrange(256) for _ in range(100))]))
    return bytes(data)


def data_url(pick):
    text = base64.b64encode(picture(pick)).decode()
    return json.dumps(pick.choice(["data:image/png;base64,"] * 6 + ["", "data:,", "data:image/png,", "http://127.0.0.1/", "file:///etc/passwd#", "data:image/png;base64,%"]) + text)


def listed(pick, one, most=3):
    return "[" + ",".join(one(pick) for _ in range(pick.randint(0, most))) + "]"


def part(pick):
    return pick.choice([lambda: '{"type":"text","text":%s}' % text_of(pick), lambda: '{"type":"image_url","image_url":{"url":%s}}' % data_url(pick),
                        lambda: '{"type":"image_url","image_url":%s}' % data_url(pick), lambda: pick.choice(ODD)])()


def message(pick):
    content = pick.choice([text_of, lambda p: listed(p, part), lambda p: "[%s,%s]" % (part(p), part(p)), lambda p: p.choice(ODD)])(pick)
    return '{"role":%s,"content":%s}' % (pick.choice(['"user"'] * 8 + ['"system"', '"assistant"', "7"]), content)


def embedded(pick):
    return pick.choice([text_of, lambda p: '{"image":%s}' % data_url(p), lambda p: listed(p, lambda q: str(q.choice([0, 5, 70, 300, 4095, 4096, -1, 2**40]))), lambda p: p.choice(ODD)])(pick)


# What the handlers read themselves.
OWN = {"messages": lambda p: listed(p, message), "input": lambda p: p.choice([embedded, lambda q: listed(q, embedded)])(p), "image": data_url, "mask": data_url,
       "images": lambda p: listed(p, lambda q: '{"image_url":%s}' % data_url(q), 2), "init_images": lambda p: listed(p, data_url, 2),
       "labels": lambda p: p.choice([text_of, lambda q: listed(q, text_of, 5)])(p), "choices": lambda p: listed(p, text_of, 5), "stop": lambda p: p.choice([text_of, lambda q: listed(q, text_of)])(p),
       "stream_options": lambda p: '{"include_usage":%s}' % p.choice(["true", "false", "7"]), "styles": lambda p: listed(p, text_of), "size": lambda p: '"%dx%d"' % (p.choice([8, 16, 64, 65, 100]), p.choice([8, 16, 64, 33])),
       "n": lambda p: p.choice("123"), "steps": lambda p: p.choice("1234"), "batch_size": lambda p: p.choice("12"), "n_iter": lambda p: p.choice("12"),
       "width": lambda p: p.choice(["8", "64", "65"]), "height": lambda p: p.choice(["8", "64", "33"]), "template": lambda p: p.choice(['"a {}"', '"{}{}"', '"{"', text_of(p)])}


def good(pick, name, schema):
    if name in OWN:
        return OWN[name](pick)
    if "enum" in schema:
        return json.dumps(pick.choice(schema["enum"]))
    kind = schema.get("type")
    if kind == "boolean":
        return pick.choice(["true", "false"])
    if kind in ("integer", "number"):
        low, high = schema["minimum"], min(schema["maximum"], 1000)
        return str(pick.choice([low, high, pick.randint(int(low), int(high))]))
    return text_of(pick)


def value(pick, name, schema):
    wrong = pick.random()
    if wrong < 0.06:
        return pick.choice(NUMBERS)
    if wrong < 0.1:
        return pick.choice(ODD)
    if wrong < 0.13:
        return text_of(pick)
    return good(pick, name, schema)


def fields_of(pick, schema):
    required, all_of = set(schema.get("required", [])), schema["properties"]
    chosen = [n for n in all_of if (n in required and pick.random() < 0.97) or pick.random() < 0.25]
    for name in ("steps", "size", "width", "height"):  # left out they are dear
        if name in all_of and name not in chosen:
            chosen.append(name)
    if pick.random() < 0.05:
        chosen += [pick.choice(chosen or ["a"]), "novel"]
    pick.shuffle(chosen)
    return [(n, value(pick, n, all_of.get(n, {}))) for n in chosen]


def form(pick, fields, schema):
    boundary, parts = pick.choice(["XX", "a b", "-" * 60]), []
    for name, text in fields:
        file = schema["properties"].get(name, {}).get("format") == "binary" and pick.random() < 0.9
        try:
            words = json.loads(text)
            words = words if isinstance(words, str) else text
        except ValueError:
            words = text
        body = picture(pick) if file else words.encode("utf-8", "surrogatepass")
        title = f'form-data; name="{name}{pick.choice(["", "", "", "[]"])}"' + ('; filename="a.png"' if file else "")
        parts.append(f"--{boundary}\r\nContent-Disposition: {title}\r\n\r\n".encode() + body + b"\r\n")
    return f'multipart/form-data; boundary="{boundary}"', b"".join(parts) + f"--{boundary}--\r\n".encode()


def request(pick, routes):
    """(method, path, headers, body) of one."""
    method, path, schemas = pick.choice(routes)
    headers, body = {"Authorization": "Bearer " + KEY}, None
    if "{id}" in path:
        path = path.replace("{id}", pick.choice(["xs", "other", "%00", "%ff", "a%2fb", "..", "x" * 3000]))
    if schemas:
        kind = pick.choice(list(schemas))
        fields = fields_of(pick, schemas[kind])
        if kind.startswith("multipart"):
            kind, body = form(pick, fields, schemas[kind])
        else:
            body = ("{" + ",".join(f"{json.dumps(n)}:{v}" for n, v in fields) + "}").encode("utf-8", "surrogatepass")
        if pick.random() < 0.04:
            kind = pick.choice(["text/plain", "application/json; charset=utf-16", "multipart/form-data", "multipart/form-data; boundary=", "application/jsonx", "", "*/*"])
        headers["Content-Type"] = kind
    elif pick.random() < 0.1:
        body = pick.choice([b"{}", b"x", b"[1]"])
    if body and pick.random() < 0.12:  # bytes go wrong
        data = bytearray(body)
        for _ in range(pick.randint(1, 6)):
            at = pick.randrange(len(data) + 1)
            data[at:at + pick.randint(0, 3)] = pick.choice([b"", b"\0", b"\xff", b'"', b"{", b"]", b",", b"\r\n", b"--XX", bytes([pick.randrange(256)])])
        body = bytes(data)
    if pick.random() < 0.05:
        path += pick.choice(["?", "?a=1&a=2", "?stream=true", "/", "//", "?" + "a" * 2000, "%20"])
    if pick.random() < 0.03:
        method = pick.choice(["GET", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "BREW"])
    return method, path, headers, body


def send(server, number, pick, routes):
    """(status, what is wrong with the answer)."""
    method, path, headers, body = request(pick, routes)
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        c.request(method, path, body, headers)
        r = c.getresponse()
        data = r.read()
    except (OSError, http.client.HTTPException) as e:
        return 0, f"{type(e).__name__}: {e}"
    finally:
        c.close()
    wrong = None
    if r.status >= 500:
        wrong = data[:300].decode(errors="replace")
    elif not r.headers.get("x-request-id", "").startswith("req_"):
        wrong = "no request id"
    elif method != "HEAD" and r.status >= 400:
        try:
            if not {"message", "type", "param", "code"} <= set(json.loads(data)["error"]):
                wrong = "an error out of shape"
        except (ValueError, KeyError, TypeError):
            wrong = "an error out of shape: " + data[:100].decode(errors="replace")
    elif r.status == 200 and r.headers["Content-Type"] == "application/json" and method != "HEAD":
        try:
            json.loads(data)
        except ValueError:
            wrong = "no JSON: " + data[:100].decode(errors="replace")
    return r.status, wrong and f"{method} {path[:80]} {body[:400] if body else ''}: {wrong}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("duet")
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    args, more = parser.parse_known_args()
    counts, wrong = collections.Counter(), []
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(KEY + "\n")
        f.flush()
        with Server(args.duet, "--api-key-file", f.name, *more) as server:
            paths = json.loads(server.call("GET", "/openapi.json", headers={"Authorization": "Bearer " + KEY})[2])["paths"]
            routes = [(m.upper(), path, {k: v["schema"] for k, v in op.get("requestBody", {}).get("content", {}).items()}) for path, ops in paths.items() for m, op in ops.items()]
            routes += [r for r in routes if r[2]] * 3  # those that read something

            def one(number):
                return number, send(server, number, random.Random(args.seed << 32 | number), routes)
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                for number, (status, what) in pool.map(one, range(args.first, args.first + args.requests)):
                    counts[status] += 1
                    if what:
                        wrong.append(number)
                        print(f"request {number}: {status} {what}", flush=True)
            server.signal()
            code = server.process.wait(120)
            log = server.log()
    reports = [line for line in log.splitlines() if "Sanitizer" in line or "runtime error" in line]
    for line in reports:
        print(line)
    print(f"{args.requests} requests to {len(paths)} paths, seed {args.seed}: {dict(sorted(counts.items()))}; {len(wrong)} wrong, {len(reports)} sanitizer reports, exit {code}")
    sys.exit(bool(wrong or reports or code))


main()

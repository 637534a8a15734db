"""A `duet serve` of one's own on a free port of 127.0.0.1, and plain requests to it. Python's own library only."""
import http.client
import json
import os
import signal
import struct
import subprocess
import tempfile
import zlib


class Server:
    """Starts with the block and is ended after it. `log` is what it says on standard error."""

    def __init__(self, duet, *options, environment=None):
        self.command = [duet, "serve", "--port", "0", *options]
        self.environment = {**os.environ, **(environment or {})}

    def __enter__(self):
        self.log_file = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=self.log_file, text=True, env=self.environment)
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise SystemExit(f"{' '.join(self.command)} did not start:\n{self.log()}")
        self.port = int(line.rsplit(":", 1)[1].strip(" /\n"))
        self.pid = self.process.pid
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self.log_file.close()

    def log(self):
        self.log_file.seek(0)
        return self.log_file.read()

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def memory(self):
        """Resident, MB."""
        with open(f"/proc/{self.pid}/status") as f:
            return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def kill_decoders(self):
        """Ends the processes that are decoding a picture just now, as a crash would; how many there were."""
        def children(pid):
            try:
                with open(f"/proc/{pid}/task/{pid}/children") as f:
                    return [int(p) for p in f.read().split()]
            except OSError:
                return []
        workers = [w for keeper in children(self.pid) for maker in children(keeper) for w in children(maker)]
        for w in workers:
            try:
                os.kill(w, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return len(workers)

    def call(self, method, path, body=None, headers=None, timeout=600):
        """(status, headers, bytes) of one request on a connection of its own; a body that is no bytes goes as JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, body, headers)
            r = c.getresponse()
            return r.status, dict((k.lower(), v) for k, v in r.getheaders()), r.read()
        finally:
            c.close()

    def metrics(self):
        """{"duet_queue_waiting": 0.0, ...}, those with labels under their whole name."""
        lines = self.call("GET", "/metrics")[2].decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def png(width, height, pixel):
    """Bytes of a PNG; pixel(x, y) gives red, green, blue and alpha."""
    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pixels(data):
    """(width, height, rows of RGBA bytes) of a PNG with 8 bits and no interlacing."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n"), data[:16]
    at, packed = 8, b""
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        assert zlib.crc32(name + body) == struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0]
        if name == b"IHDR":
            width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert depth == 8 and kind in (2, 6) and not interlaced
        packed += body if name == b"IDAT" else b""
        at += 12 + size
    raw, n, rows = zlib.decompress(packed), 4 if kind == 6 else 3, []
    above = bytes(width * n)
    for y in range(height):
        how, line = raw[y * (width * n + 1)], bytearray(raw[y * (width * n + 1) + 1:(y + 1) * (width * n + 1)])
        for i in range(len(line)):  # PNG specification, third edition, 9.2
            a, b, c = line[i - n] if i >= n else 0, above[i], above[i - n] if i >= n else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line[i] = (line[i] + (0, a, b, (a + b) // 2, paeth)[how]) % 256
        above = bytes(line)
        rows.append(above if n == 4 else b"".join(above[i:i + 3] + b"\xff" for i in range(0, len(above), 3)))
    return width, height, rows

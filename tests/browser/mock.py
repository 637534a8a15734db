"""A stand-in for `duet serve`: the routes that the page uses, in OpenAI's shapes, with pictures drawn by pictures.py.

    python3 tests/browser/mock.py [PORT]     then open http://127.0.0.1:PORT

A test sets its `state` (how slow, what to refuse, what to say) and reads what it was `seen` asking.
"""
import base64
import email.parser
import email.policy
import http.server
import json
import pathlib
import sys
import threading
import time

import pictures

WEB = pathlib.Path(__file__).resolve().parents[2] / 'assets' / 'web'
MIME = {'.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8',
        '.svg': 'image/svg+xml'}
CSP = "default-src 'self'; img-src 'self' data: blob:"
CAPTIONS = {'en': 'a small picture in bright colours on a plain background', 'ko': '단색 배경 위에 밝은 색으로 그린 작은 그림'}
SIDE = 64


class State:
    def __init__(self):
        self.delay = 0.02      # seconds between events of a stream
        self.refuse = []       # (status, error, headers) for the next POSTs, in turn
        self.cut = False       # close the next stream of pictures in its middle
        self.key = None
        self.csp = CSP
        self.captions = None   # what Describe says, in turn
        self.info = None       # what png-info says whatever it is given
        self.model = 'duet-xs'
        self.sampling = {'steps': 24, 'guidance': 5}  # what the model wants to be drawn with
        self.styles = []      # what the model says it knows
        self.seen = []         # (path, fields)


def form_of(headers, body):
    """{name: bytes} of multipart/form-data."""
    head = b'Content-Type: ' + headers['content-type'].encode() + b'\r\n\r\n'
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    return {p.get_param('name', header='content-disposition'): p.get_payload(decode=True) for p in message.iter_parts()}


def drawn_png(prompt, seed, fields, sharp=1.0, width=SIDE, height=SIDE):
    own = {'prompt': prompt, 'negative': fields.get('negative_prompt', ''), 'style': fields.get('style', ''), 'seed': seed,
           'steps': int(fields.get('steps', 24)), 'guidance': float(fields.get('guidance', 5)), 'heun': False, 'width': width,
           'height': height, 'precision': 'f32', 'model': 'xs', 'model_hash': '0', 'version': '0.1.0'}
    parameters = f"{prompt}\nSteps: {own['steps']}, Sampler: Euler, CFG scale: {own['guidance']}, Seed: {seed}, Size: {width}x{height}"
    rgba = pictures.draw(prompt, seed, sharp, width, height, fields.get('background') == 'opaque')
    return pictures.encode(width, height, rgba, [('parameters', parameters), ('duet', json.dumps(own, ensure_ascii=False))])


def b64(data):
    return base64.b64encode(data).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    @property
    def state(self):
        return self.server.state

    def reply(self, status, body, mime='application/json', headers=()):
        self.send_response(status)
        self.send_header('Content-Type', mime)
        self.send_header('Content-Length', str(len(body)))
        self.send_header('X-Request-Id', 'req-42')
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer(self, value):
        self.reply(200, json.dumps(value, ensure_ascii=False).encode())

    def refuse(self, status, message, headers=()):
        error = {'message': message, 'type': 'invalid_request_error', 'param': None, 'code': None}
        self.reply(status, json.dumps({'error': error}).encode(), headers=headers)

    def allowed(self):
        if self.state.key and self.headers.get('authorization') != f'Bearer {self.state.key}':
            self.refuse(401, 'wrong key')
            return False
        return True

    def start_events(self, headers=()):
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Connection', 'close')
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    def event(self, name, data):
        line = f'event: {name}\n' if name else ''
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        self.wfile.write(f'{line}data: {text}\n\n'.encode())
        self.wfile.flush()
        time.sleep(self.state.delay)

    def do_GET(self):
        if self.path == '/v1/models':
            if self.allowed():
                model = {'id': self.state.model, 'object': 'model', 'created': 0, 'owned_by': 'duet', 'size': SIDE, 'sampling': self.state.sampling,
                         'styles': self.state.styles}
                self.answer({'object': 'list', 'data': [model]})
            return
        if self.path == '/health':
            return self.answer({'status': 'ok'})
        file = WEB / ('index.html' if self.path == '/' else self.path.lstrip('/'))
        if file.parent != WEB or not file.is_file():
            return self.refuse(404, 'no such page')
        headers = [('Content-Security-Policy', self.state.csp)] if self.state.csp else []
        self.reply(200, file.read_bytes(), MIME[file.suffix], headers + [('X-Content-Type-Options', 'nosniff')])

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('content-length', 0)))
        if not self.allowed():
            return
        multipart = self.headers['content-type'].startswith('multipart/')
        fields = form_of(self.headers, body) if multipart else json.loads(body)
        self.state.seen.append((self.path, fields))
        if self.state.refuse:
            status, message, headers = self.state.refuse.pop(0)
            return self.refuse(status, message, headers)
        route = {'/v1/images/generations': self.generate, '/v1/images/edits': self.edit, '/v1/images/variations': self.vary,
                 '/v1/chat/completions': self.chat, '/v1/embeddings': self.embed, '/sdapi/v1/png-info': self.png_info}
        try:
            route[self.path](fields)
        except (BrokenPipeError, ConnectionResetError):
            self.state.seen.append(('gone', self.path))

    def stream(self, kind, prompt, seed, n, previews, fields, final, size=(SIDE, SIDE)):
        strange = next((c for c in prompt if '\u4e00' <= c <= '\u9fff'), '')  # as the server says of what the model cannot read
        self.start_events([('x-duet-unread', f'U+{ord(strange):04X}; this model has not learned to read it')] if strange else [])
        for k in range(previews):
            for i in range(n):
                png = drawn_png(prompt, seed + i, fields, (k + 1) / (previews + 1), *size)
                self.event(f'{kind}.partial_image', {'type': f'{kind}.partial_image', 'b64_json': b64(png), 'index': i, 'seed': seed + i,
                                                     'partial_image_index': k})
            if self.state.cut and k == previews // 2:
                self.state.cut = False
                return
        for i in range(n):
            self.event(f'{kind}.completed', {'type': f'{kind}.completed', 'b64_json': b64(final(i)), 'index': i, 'seed': seed + i})

    def generate(self, f):
        width, height = map(int, f.get('size', f'{SIDE}x{SIDE}').split('x'))
        self.stream('image_generation', f['prompt'], f['seed'], f['n'], f['partial_images'], f,
                    lambda i: drawn_png(f['prompt'], f['seed'] + i, f, 1, width, height), (width, height))

    def edit(self, fields):
        f = {k: v.decode() for k, v in fields.items() if k not in ('image', 'mask')}
        width, height, image = pictures.decode(fields['image'])
        mask_width, mask_height, mask = pictures.decode(fields['mask'])
        if (width, height) != (mask_width, mask_height):
            return self.refuse(400, 'the mask has another size than the picture')

        def final(i):
            new = pictures.draw(f['prompt'], int(f['seed']) + i, 1, width, height)
            out = b''.join((new if mask[p + 3] == 0 else image)[p:p + 4] for p in range(0, len(image), 4))
            return pictures.encode(width, height, out)
        return self.stream('image_edit', f['prompt'], int(f['seed']), int(f['n']), int(f['partial_images']), f, final, (width, height))

    def vary(self, fields):
        size = pictures.decode(fields['image'])[:2]
        f = {k: v.decode() for k, v in fields.items() if k != 'image'}
        prompt = f.get('prompt') or 'what the model sees'
        self.stream('image_variation', prompt, int(f['seed']), int(f['n']), int(f['partial_images']), f,
                    lambda i: drawn_png(prompt, int(f['seed']) + i, f, 1, *size), size)

    def chat(self, f):
        image, text = f['messages'][0]['content']
        assert image['image_url']['url'].startswith('data:image/'), image['image_url']['url'][:40]
        words = self.state.captions.pop(0) if self.state.captions else CAPTIONS['ko' if '그림' in text['text'] else 'en']
        self.start_events()
        parts = [{'role': 'assistant'}] + [{'content': w} for w in words.split(' ') for w in (w, ' ')]
        for i, delta in enumerate(parts):
            end = 'stop' if i + 1 == len(parts) else None
            self.event('', {'id': 'c', 'object': 'chat.completion.chunk', 'choices': [{'index': 0, 'delta': delta, 'finish_reason': end}]})
        self.event('', '[DONE]')

    def embed(self, f):
        """Vectors by which words find the pictures of their colour: mean red, green, blue where the picture is opaque."""
        inputs = f['input'] if isinstance(f['input'], list) else [f['input']]
        data = []
        for i, item in enumerate(inputs):
            if isinstance(item, str):
                vector = next((c for word, c in pictures.COLOURS.items() if word in item.lower()), (100, 100, 100))
            else:
                try:
                    _, _, rgba = pictures.decode(base64.b64decode(item['image'].split(',')[1]))
                except Exception:
                    return self.refuse(400, f'input[{i}] is no picture')
                solid = [rgba[p:p + 3] for p in range(0, len(rgba), 4) if rgba[p + 3] > 128] or [b'\0\0\0']
                vector = [sum(p[c] for p in solid) / len(solid) for c in range(3)]
            data.append({'object': 'embedding', 'index': i, 'embedding': [v - 100 for v in vector]})
        time.sleep(self.state.delay)
        self.answer({'object': 'list', 'data': data})

    def png_info(self, f):
        if self.state.info is not None:
            return self.answer(self.state.info)
        items = pictures.texts(base64.b64decode(f['image']))
        return self.answer({'info': items.get('parameters', ''), 'items': items, 'parameters': {}})


def start(port=0):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
    server.daemon_threads = True
    server.state = State()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == '__main__':
    running = start(int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
    running.state.delay = 0.1
    print(f'http://127.0.0.1:{running.server_address[1]}')
    threading.Event().wait()

"""Drives a running `duet serve` with the real openai package: python3 tests/api/openai_test.py http://127.0.0.1:8080

Needs `pip install openai` (tests only). Without it the script says so and leaves with 77, which ctest counts as skipped.
"""
import base64
import io
import struct
import sys
import zlib

try:
    import openai
except ImportError:
    print("SKIPPED: the openai package is not installed (pip install openai); nothing was tested", file=sys.stderr)
    sys.exit(77)


def png(width, height, pixel):
    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


RED = png(64, 64, lambda x, y: (200, 30, 30, 255))
MASK = png(64, 64, lambda x, y: (0, 0, 0, 0 if x < 32 else 255))
URL = "data:image/png;base64," + base64.b64encode(RED).decode()
done = 0


def check(what, fine):
    global done
    done += 1
    if not fine:
        sys.exit(f"FAILED: {what}")


def fails(what, kind, call, param=None):
    try:
        call()
    except kind as e:
        check(what + ": param", param is None or e.param == param)
    else:
        check(what + " was not refused", False)


def image(b64):
    return base64.b64decode(b64).startswith(b"\x89PNG")


def main(base):
    api = openai.OpenAI(base_url=base + "/v1", api_key="none", max_retries=0)
    model = api.models.list().data[0].id
    check("models.retrieve", api.models.retrieve(model).id == model)
    fails("an unknown model", openai.NotFoundError, lambda: api.models.retrieve("other"))
    fast = {"seed": 7, "steps": 4}

    r = api.images.generate(model=model, prompt="a red circle", n=2, size="64x64", extra_body=fast)
    check("generate", len(r.data) == 2 and all(image(d.b64_json) for d in r.data) and r.usage.output_tokens > 0)
    again = api.images.generate(prompt="a red circle", size="64x64", extra_body=fast)
    check("the same seed", again.data[0].b64_json == r.data[0].b64_json)
    check("url", api.images.generate(prompt="빨간 원", response_format="url", extra_body=fast).data[0].url.startswith("data:image/png"))
    for partial in range(4):
        kinds = [e.type for e in api.images.generate(prompt="a star", stream=True, partial_images=partial, extra_body={"steps": 8})]
        check(f"stream {partial}", kinds == ["image_generation.partial_image"] * partial + ["image_generation.completed"])
    check("edit", image(api.images.edit(image=("a.png", RED), prompt="a star", extra_body=fast).data[0].b64_json))
    check("edit a list, mask", image(api.images.edit(image=[("a.png", RED)], mask=("m.png", MASK), prompt="a star", extra_body=fast).data[0].b64_json))
    kinds = [e.type for e in api.images.edit(image=("a.png", RED), prompt="a star", stream=True, partial_images=1, extra_body={"steps": 8})]
    check("edit stream", kinds == ["image_edit.partial_image", "image_edit.completed"])
    check("variation", image(api.images.create_variation(image=("a.png", io.BytesIO(RED)), extra_body=fast).data[0].b64_json))

    def messages(words):
        return [{"role": "user", "content": [{"type": "text", "text": words}, {"type": "image_url", "image_url": {"url": URL}}]}]

    said = api.chat.completions.create(model=model, messages=messages("What is this?"))
    check("chat", said.choices[0].finish_reason in ("stop", "length") and said.usage.total_tokens > 0)
    chunks = list(api.chat.completions.create(model=model, messages=messages("What is this?"), stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    check("chat stream", text == said.choices[0].message.content)
    check("chat usage", chunks[-1].usage.total_tokens == said.usage.total_tokens)
    chosen = api.chat.completions.create(model=model, messages=messages("Which?"), extra_body={"choices": ["red", "blue"]})
    check("choices", chosen.choices[0].message.content in ("red", "blue"))

    coded = api.embeddings.create(model=model, input=["a dog", "개"])  # the client asks for base64 by itself
    plain = api.embeddings.create(model=model, input=["a dog", "개"], encoding_format="float")
    check("embeddings", all(abs(a - b) < 1e-6 for a, b in zip(coded.data[1].embedding, plain.data[1].embedding)))
    check("embedding of a picture", len(api.embeddings.create(model=model, input=[{"image": URL}]).data[0].embedding) == len(plain.data[0].embedding))

    bad = openai.BadRequestError
    for name, value in [("n", 0), ("n", 99), ("size", "huge"), ("quality", "x"), ("output_format", "gif"), ("background", "x"), ("prompt", "x" * 9999)]:
        fails(f"{name}={str(value)[:9]}", bad, lambda: api.images.generate(**{"prompt": "a", **{name: value}}), name)
    for name, value in [("seed", "x"), ("steps", 0), ("guidance", -1)]:
        fails(name, bad, lambda: api.images.generate(prompt="a", extra_body={name: value}), name)
    fails("a broken picture", bad, lambda: api.images.edit(image=("a.png", b"no picture"), prompt="a"), "image")
    fails("words alone", bad, lambda: api.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}]), "messages")
    fails("an address", bad, lambda: api.chat.completions.create(model=model, messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1/a.png"}}]}]), "messages")
    fails("dimensions", bad, lambda: api.embeddings.create(model=model, input="a", dimensions=3), "dimensions")
    print(f"openai {openai.__version__}: {done} checks passed")


main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")

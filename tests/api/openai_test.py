"""Drives `duet serve` with the real openai package, as its users do: python3 tests/api/openai_test.py build/duet

`./dev test api` installs the package under build/ and runs this. Without the package the script says so and leaves with
77 (skipped). It starts the servers itself, the last arguments go to them. `--only WORD`: the cases that have it in their
name. Exit code 1 when a case fails.
"""
import argparse
import asyncio
import base64
import io
import json
import math
import os
import sys
import tempfile
import threading
import time

from served import Server, pixels, png

try:
    import openai
except ImportError:
    print("SKIPPED: the openai package is not installed (pip install openai); nothing was tested", file=sys.stderr)
    sys.exit(77)

RED = png(64, 64, lambda x, y: (200, 30, 30, 255))
DOTS = png(50, 40, lambda x, y: (x * 5, y * 6, 99, 255 if (x + y) % 3 else 120))
MASK = png(50, 40, lambda x, y: (0, 0, 0, 0 if x < 20 and y > 9 else 255))
FAST = {"seed": 7, "steps": 4}
CASES = []


def case(f):
    CASES.append(f)
    return f


def url(data):
    return "data:image/png;base64," + base64.b64encode(data).decode()


def ask(*parts, role="user"):
    """A message of words and pictures."""
    return [{"role": role, "content": [{"type": "text", "text": p} if isinstance(p, str) else {"type": "image_url", "image_url": {"url": url(p)}} for p in parts]}]


def file_of(answer, i=0):
    return base64.b64decode(answer.data[i].b64_json)


def fails(kind, call, param=None, status=400, code=None):
    """The error of the call, with all that OpenAI's errors have."""
    try:
        call()
    except kind as e:
        assert e.status_code == status, e.status_code
        assert e.request_id.startswith("req_"), e.request_id
        error = e.response.json()["error"]
        assert {"message", "type", "param", "code"} <= set(error) and len(error["message"]) > 10, error
        assert e.param == param and e.type == error["type"], error
        assert code is None or e.code == code, error
        return e
    raise AssertionError("was not refused")


def bad(call, param):
    return fails(openai.BadRequestError, call, param)


# --- models

@case
def models_are_listed(api):
    page = api.models.list()
    assert page.object == "list" and len(page.data) == 1
    m = page.data[0]
    assert m.object == "model" and m.created > 0 and m.owned_by == "duet"


@case
def a_model_is_retrieved(api):
    assert api.models.retrieve(api.name).id == api.name


@case
def an_unknown_model_is_404(api):
    fails(openai.NotFoundError, lambda: api.models.retrieve("other"), "model", 404, "model_not_found")


# --- generations

@case
def generate(api):
    r = api.images.generate(model=api.name, prompt="a red circle", extra_body=FAST)
    assert pixels(file_of(r))[:2] == (api.side, api.side) and r.created > 1e9 and r.size == f"{api.side}x{api.side}" and r.output_format == "png"


@case
def generate_several(api):
    r = api.images.generate(prompt="a red circle", n=3, extra_body=FAST)
    assert len({file_of(r, i) for i in range(3)}) == 3
    assert [d.seed for d in r.data] == [7, 8, 9]
    assert file_of(api.images.generate(prompt="a red circle", extra_body=FAST | {"seed": 9})) == file_of(r, 2)


@case
def generate_in_korean(api):
    english, korean = (file_of(api.images.generate(prompt=p, extra_body=FAST)) for p in ("a blue star", "파란 별"))
    assert english != korean and "파란 별".encode() in korean


@case
def generate_in_a_size(api):
    assert pixels(file_of(api.images.generate(prompt="a", size="96x48", extra_body=FAST)))[:2] == (96, 48)


@case
def generate_in_any_size(api):
    r = api.images.generate(prompt="a", size="100x61", extra_body=FAST)
    assert pixels(file_of(r))[:2] == (100, 61) and r.size == "100x61"


@case
def generate_in_size_auto(api):
    assert api.images.generate(prompt="a", size="auto", extra_body=FAST).size == f"{api.side}x{api.side}"


@case
def generate_as_url(api):
    r = api.images.generate(prompt="a", response_format="url", extra_body=FAST)
    assert r.data[0].url.startswith("data:image/png;base64,") and r.data[0].b64_json is None


@case
def generate_as_base64(api):
    r = api.images.generate(prompt="a", response_format="b64_json", extra_body=FAST)
    assert r.data[0].url is None and pixels(file_of(r))


@case
def generate_as_jpeg(api):
    r = api.images.generate(prompt="a", output_format="jpeg", extra_body=FAST)
    assert file_of(r).startswith(b"\xff\xd8\xff") and b"trainedAlgorithmicMedia" in file_of(r) and r.output_format == "jpeg"
    assert r.background == "opaque"


@case
def generate_as_webp(api):
    r = api.images.generate(prompt="a", output_format="webp", extra_body=FAST)
    assert file_of(r)[8:12] == b"WEBP" and b"trainedAlgorithmicMedia" in file_of(r)


@case
def generate_with_compression(api):
    small, large = (len(file_of(api.images.generate(prompt="a", output_format="jpeg", output_compression=q, extra_body=FAST))) for q in (5, 100))
    assert small * 2 < large, (small, large)


@case
def generate_transparent(api):
    r = api.images.generate(prompt="a red circle", background="transparent", extra_body=FAST | {"style": "emoji"})
    assert r.background == "transparent" and pixels(file_of(r))


@case
def generate_opaque(api):
    r = api.images.generate(prompt="a red circle", background="opaque", extra_body=FAST)
    assert r.background == "opaque" and all(set(row[3::4]) == {255} for row in pixels(file_of(r))[2])


@case
def generate_in_qualities(api):
    assert [api.images.generate(prompt="a", quality=q).quality for q in ("low", "medium", "high")] == ["low", "medium", "high"]


@case
def generate_counts_its_use(api):
    u = api.images.generate(prompt="a red circle", n=2, extra_body=FAST).usage
    assert u.input_tokens > 0 and u.output_tokens > 0 and u.total_tokens == u.input_tokens + u.output_tokens
    assert u.input_tokens_details.text_tokens == u.input_tokens and u.input_tokens_details.image_tokens == 0


@case
def generate_takes_extensions(api):
    def one(**more):
        return file_of(api.images.generate(prompt="a star", extra_body=FAST | more))
    assert len({one(), one(guidance=1), one(negative_prompt="red"), one(style="emoji"), one(steps=5)}) == 5


@case
def generate_takes_what_others_take(api):
    r = api.images.with_raw_response.generate(prompt="a", user="me", moderation="low", style="vivid", extra_body=FAST | {"novel": [1], "other": None})
    assert r.headers["x-duet-ignored"] == "novel, other" and r.headers["x-request-id"].startswith("req_")


@case
def generate_asynchronously(api):
    async def many():
        async with openai.AsyncOpenAI(base_url=api.base_url, api_key="none", max_retries=0) as a:
            return await asyncio.gather(*(a.images.generate(prompt="a red circle", extra_body=FAST | {"seed": i % 3}) for i in range(9)))
    files = [file_of(r) for r in asyncio.run(many())]
    assert files[:3] * 3 == files and len(set(files)) == 3


# --- streams of pictures

def stream_case(partial):
    def check(api):
        events = list(api.images.generate(prompt="a star", stream=True, partial_images=partial, extra_body={"seed": 7, "steps": 8}))
        assert [e.type for e in events] == ["image_generation.partial_image"] * partial + ["image_generation.completed"]
        assert [e.partial_image_index for e in events[:-1]] == list(range(partial))
        assert len({e.b64_json for e in events}) == partial + 1
        last = events[-1]
        assert last.usage.total_tokens > 0 and last.size == f"{api.side}x{api.side}" and last.created_at > 1e9 and last.output_format == "png"
        assert last.b64_json == api.images.generate(prompt="a star", extra_body={"seed": 7, "steps": 8}).data[0].b64_json
    check.__name__ = f"stream_with_{partial}_partials"
    CASES.append(check)


for number in range(4):
    stream_case(number)


@case
def stream_of_two(api):
    events = list(api.images.generate(prompt="a star", n=2, stream=True, partial_images=1, extra_body={"seed": 7, "steps": 8}))
    assert sorted((e.type[17:], e.index) for e in events) == [("completed", 0), ("completed", 1), ("partial_image", 0), ("partial_image", 1)]


@case
def stream_as_jpeg(api):
    events = list(api.images.generate(prompt="a star", stream=True, partial_images=1, output_format="jpeg", extra_body={"steps": 8}))
    assert all(base64.b64decode(e.b64_json).startswith(b"\xff\xd8\xff") for e in events)


@case
def leaving_a_stream_cancels(api):
    before = api.server.metrics()["duet_cancelled_total"]
    with api.images.generate(prompt="a star", n=10, size="128x128", stream=True, partial_images=3, extra_body={"steps": 200}) as stream:
        next(iter(stream))
    end = time.time() + 60
    while api.server.metrics()["duet_cancelled_total"] == before and time.time() < end:
        time.sleep(0.02)
    assert api.server.metrics()["duet_cancelled_total"] == before + 1


# --- edits and variations

@case
def edit_a_file(api):
    r = api.images.edit(image=("a.png", DOTS), prompt="a star", extra_body=FAST)
    assert pixels(file_of(r))[:2] == (50, 40)


@case
def edit_a_list(api):
    r = api.images.edit(image=[("a.png", DOTS)], prompt="a star", extra_body=FAST)
    assert file_of(r) == file_of(api.images.edit(image=("a.png", DOTS), prompt="a star", extra_body=FAST))


@case
def edit_under_a_mask(api):
    r = api.images.edit(image=("a.png", DOTS), mask=("m.png", MASK), prompt="a star", extra_body=FAST)
    before, after = pixels(DOTS)[2], pixels(file_of(r))[2]
    changed = [(x, y) for y in range(40) for x in range(50) if before[y][4 * x:4 * x + 4] != after[y][4 * x:4 * x + 4]]
    assert len(changed) > 300 and all(x < 20 and y > 9 for x, y in changed), len(changed)


@case
def edit_several(api):
    r = api.images.edit(image=("a.png", DOTS), prompt="a star", n=2, size="64x64", background="opaque", response_format="url", input_fidelity="high", extra_body=FAST)
    assert len(r.data) == 2 and r.size == "64x64" and all(d.url.startswith("data:image/png") for d in r.data)


@case
def edit_with_strength(api):
    def moved(strength):
        after = pixels(file_of(api.images.edit(image=("a.png", RED), prompt="a blue star", extra_body={"seed": 7, "steps": 10, "strength": strength})))[2]
        return sum(abs(a - b) for x, y in zip(pixels(RED)[2], after) for a, b in zip(x, y))
    assert moved(0.1) < moved(1)


@case
def edit_as_a_stream(api):
    events = list(api.images.edit(image=("a.png", RED), mask=("m.png", png(64, 64, lambda x, y: (0, 0, 0, x))), prompt="a star", stream=True, partial_images=2, extra_body={"steps": 8}))
    assert [e.type for e in events] == ["image_edit.partial_image"] * 2 + ["image_edit.completed"]


@case
def edit_of_two_is_refused(api):
    bad(lambda: api.images.edit(image=[("a.png", RED), ("b.png", RED)], prompt="a"), "image")


@case
def edit_of_no_picture_is_refused(api):
    assert bad(lambda: api.images.edit(image=("a.png", b"no picture"), prompt="a"), "image").code == "invalid_image"


@case
def edit_of_half_a_picture_is_refused(api):
    bad(lambda: api.images.edit(image=("a.png", RED[:100]), prompt="a"), "image")


@case
def a_mask_of_another_size_is_refused(api):
    bad(lambda: api.images.edit(image=("a.png", RED), mask=("m.png", MASK), prompt="a"), "mask")


@case
def a_mask_without_holes_is_refused(api):
    bad(lambda: api.images.edit(image=("a.png", RED), mask=("m.png", RED), prompt="a"), "mask")


@case
def vary(api):
    r = api.images.create_variation(image=("a.png", io.BytesIO(RED)), n=2, size="256x256", extra_body=FAST)
    assert [pixels(file_of(r, i))[:2] for i in range(2)] == [(256, 256)] * 2


@case
def vary_as_url(api):
    r = api.images.create_variation(image=io.BytesIO(DOTS), response_format="url", model=api.name, user="me", extra_body=FAST | {"prompt": "a dog"})
    assert r.data[0].url.startswith("data:image/png")


# --- chat

@case
def chat_about_a_picture(api):
    r = api.chat.completions.create(model=api.name, messages=ask("What is this?", RED))
    choice = r.choices[0]
    assert r.object == "chat.completion" and r.model == api.name and r.id.startswith("chatcmpl-") and r.created > 1e9
    assert choice.finish_reason == "stop" and choice.message.role == "assistant" and choice.message.content
    assert r.usage.total_tokens == r.usage.prompt_tokens + r.usage.completion_tokens and r.usage.completion_tokens > 0


@case
def chat_in_korean(api):
    said = api.chat.completions.create(model=api.name, messages=ask("이게 뭐야?", RED)).choices[0].message.content
    assert any("가" <= c <= "힣" for c in said), said


@case
def chat_with_a_system_message(api):
    messages = [{"role": "system", "content": "You describe pictures."}, *ask("What is this?", RED)]
    messages[1]["content"][1]["image_url"]["detail"] = "low"
    plain = api.chat.completions.create(model=api.name, messages=ask("What is this?", RED))
    assert api.chat.completions.create(model=api.name, messages=messages).choices[0].message.content == plain.choices[0].message.content


@case
def chat_as_a_stream(api):
    chunks = list(api.chat.completions.create(model=api.name, messages=ask("What is this?", RED), stream=True))
    assert {c.object for c in chunks} == {"chat.completion.chunk"} and len({c.id for c in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None for c in chunks)
    whole = api.chat.completions.create(model=api.name, messages=ask("What is this?", RED))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole.choices[0].message.content


@case
def chat_as_a_stream_with_usage(api):
    chunks = list(api.chat.completions.create(model=api.name, messages=ask("What is this?", RED), stream=True, stream_options={"include_usage": True}))
    whole = api.chat.completions.create(model=api.name, messages=ask("What is this?", RED))
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage and all(c.usage is None for c in chunks[:-1])


@case
def chat_with_max_tokens(api):
    for name in ("max_tokens", "max_completion_tokens"):
        r = api.chat.completions.create(model=api.name, messages=ask("What is this?", RED), **{name: 2})
        assert r.usage.completion_tokens <= 2 and r.choices[0].finish_reason == "length"


@case
def chat_with_temperature_and_seed(api):
    def say(seed, temperature=1.8):
        return api.chat.completions.create(model=api.name, messages=ask("What is this?", DOTS), temperature=temperature, top_p=0.95, seed=seed).choices[0].message.content
    assert say(3) == say(3) and len({say(i) for i in range(8)}) > 1
    assert say(1, 0) == say(2, 0)


@case
def chat_without_a_seed_is_by_chance(api):
    said = {api.chat.completions.create(model=api.name, messages=ask("What is this?", DOTS), temperature=2).choices[0].message.content for _ in range(12)}
    assert len(said) > 1


@case
def chat_with_a_stop(api):
    whole = api.chat.completions.create(model=api.name, messages=ask("What is this?", RED)).choices[0].message.content
    word = whole.split()[1]
    expected = whole[:whole.index(word)]
    for stop in (word, ["nothing like it", word]):
        r = api.chat.completions.create(model=api.name, messages=ask("What is this?", RED), stop=stop)
        assert r.choices[0].message.content == expected and r.choices[0].finish_reason == "stop"
        chunks = api.chat.completions.create(model=api.name, messages=ask("What is this?", RED), stop=stop, stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in chunks) == expected


@case
def chat_about_two_pictures(api):
    r = api.chat.completions.create(model=api.name, messages=ask("What are these?", RED, DOTS))
    one, two = (api.chat.completions.create(model=api.name, messages=ask("What is this?", p)).choices[0].message.content for p in (RED, DOTS))
    assert r.choices[0].message.content == one + "\n" + two


@case
def chat_chooses(api):
    r = api.chat.completions.create(model=api.name, messages=ask("Which?", RED), extra_body={"choices": ["red", "blue"]})
    assert r.choices[0].message.content in ("red", "blue")


@case
def chat_chooses_a_letter(api):
    r = api.chat.completions.create(model=api.name, messages=ask("Which? Answer with the letter.\nA. a dog\nB. a red square\nC. a car", RED))
    assert r.choices[0].message.content in ("A", "B", "C")


@case
def chat_of_words_alone_is_refused(api):
    bad(lambda: api.chat.completions.create(model=api.name, messages=[{"role": "user", "content": "hi"}]), "messages")


@case
def chat_about_an_address_is_refused(api):
    for where in ("http://127.0.0.1/a.png", "https://example.org/a.png", "file:///etc/passwd"):
        messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": where}}]}]
        assert bad(lambda: api.chat.completions.create(model=api.name, messages=messages), "messages").code == "url_not_allowed"


@case
def chat_with_bad_types_is_refused(api):
    for name, value in (("temperature", "hot"), ("temperature", 3), ("top_p", 2), ("seed", "x"), ("stop", 7), ("max_tokens", 0), ("n", 2), ("stream", "yes")):
        bad(lambda: api.chat.completions.create(model=api.name, messages=ask("a", RED), extra_body={name: value}), name)
    for messages in ([], "hi", [{"content": "a"}], [{"role": "user", "content": [{"type": "video"}]}]):
        bad(lambda: api.chat.completions.create(model=api.name, messages=[], extra_body={"messages": messages}), "messages")


# --- embeddings

@case
def embeddings_of_texts(api):
    r = api.embeddings.create(model=api.name, input=["a dog", "개"])  # the client asks for base64 by itself
    assert r.object == "list" and [d.index for d in r.data] == [0, 1] and r.usage.prompt_tokens > 0
    assert all(abs(math.hypot(*d.embedding) - 1) < 1e-5 for d in r.data)


@case
def embeddings_as_floats(api):
    coded = api.embeddings.create(model=api.name, input="a dog").data[0].embedding
    plain = api.embeddings.create(model=api.name, input="a dog", encoding_format="float").data[0].embedding
    assert len(coded) == len(plain) and all(abs(a - b) < 1e-6 for a, b in zip(coded, plain))


@case
def embeddings_as_base64(api):
    r = api.embeddings.with_raw_response.create(model=api.name, input="a dog", encoding_format="base64")
    text = json.loads(r.text)["data"][0]["embedding"]
    assert len(base64.b64decode(text)) == 4 * len(api.embeddings.create(model=api.name, input="a dog").data[0].embedding)


@case
def embeddings_of_tokens(api):
    dog, star = [70, 81, 73], [85, 86]  # letters: single bytes come first in the vocabulary
    one = api.embeddings.create(model=api.name, input=dog).data
    several = api.embeddings.create(model=api.name, input=[dog, star]).data
    assert len(one) == 1 and len(several) == 2 and one[0].embedding == several[0].embedding


@case
def embeddings_of_pictures(api):
    r = api.embeddings.create(model=api.name, input=[{"image": url(RED)}, "a red square", {"image": url(DOTS)}])
    assert len({tuple(d.embedding) for d in r.data}) == 3


@case
def embeddings_of_their_own_dimensions(api):
    n = len(api.embeddings.create(model=api.name, input="a").data[0].embedding)
    assert len(api.embeddings.create(model=api.name, input="a", dimensions=n).data[0].embedding) == n
    bad(lambda: api.embeddings.create(model=api.name, input="a", dimensions=3), "dimensions")


@case
def embeddings_of_nothing_are_refused(api):
    for value in ("", [], [""], 7, [1, "a"], [-1], [10**6], {"image": "zzz"}, ["a"] * 300):
        bad(lambda: api.embeddings.create(model=api.name, input="a", extra_body={"input": value}), "input")
    bad(lambda: api.embeddings.create(model=api.name, input="a", extra_body={"encoding_format": "hex"}), "encoding_format")


# --- refusals

@case
def bad_values_are_named(api):
    for name, value in (("n", 0), ("n", 99), ("size", "huge"), ("size", "0x0"), ("size", "64x6400"), ("quality", "x"), ("output_format", "gif"), ("background", "x"),
                        ("prompt", "x" * 9999), ("response_format", "file"), ("output_compression", 101)):
        bad(lambda: api.images.generate(**{"prompt": "a", **{name: value}}), name)
    bad(lambda: api.images.generate(prompt="a", background="transparent", output_format="jpeg"), "background")


@case
def bad_types_are_named(api):
    for name, value in (("prompt", 7), ("prompt", None), ("n", "1"), ("n", 1.5), ("n", 2**63), ("size", 64), ("stream", "yes"), ("seed", "x"), ("seed", -2), ("seed", 1e300),
                        ("steps", 0), ("steps", 2**31), ("guidance", -1), ("guidance", [3]), ("partial_images", 99), ("style", {})):
        bad(lambda: api.images.generate(prompt="a", extra_body={name: value}), name)


@case
def bad_streams_are_refused_before_they_begin(api):
    bad(lambda: api.images.generate(prompt="a", stream=True, partial_images=99), "partial_images")
    bad(lambda: api.chat.completions.create(model=api.name, messages=[], stream=True), "messages")


@case
def a_wrong_key_is_401(api):
    key = "correct-horse-battery-staple"
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(key + "\n")
        f.flush()
        with Server(*api.command, "--api-key-file", f.name) as server:
            def client(k):
                return openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key=k, max_retries=0)
            for wrong in ("none", key[:-1], key + "x", key.upper()):
                e = fails(openai.AuthenticationError, lambda: client(wrong).models.list(), None, 401, "invalid_api_key")
                assert e.type == "authentication_error" and key not in e.message
            assert len(client(key).models.list().data) == 1


@case
def an_unknown_host_is_403(api):
    other = api.with_options(default_headers={"Host": "evil.example"})
    fails(openai.PermissionDeniedError, lambda: other.models.list(), None, 403, "host_not_allowed")


@case
def an_unknown_route_is_404(api):
    fails(openai.NotFoundError, lambda: api.get("/nothing", cast_to=object), None, 404, "not_found")


@case
def another_method_is_405(api):
    fails(openai.APIStatusError, lambda: api.get("/images/generations", cast_to=object), None, 405, "method_not_allowed")


@case
def a_large_body_is_413(api):
    fails(openai.APIStatusError, lambda: api.images.edit(image=("a.png", bytes(17 << 20)), prompt="a"), None, 413)
    fails(openai.APIStatusError, lambda: api.images.generate(prompt="a" * (2 << 20)), None, 413)


@case
def another_content_type_is_415(api):
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        fails(openai.APIStatusError, lambda: api.images.generate(prompt="a", extra_headers={"Content-Type": kind}), None, 415)


@case
def a_picture_that_ends_its_decoder_is_422(api):
    large = png(8000, 1900, lambda x, y: b"\0\0\0\xff")
    seen, end = [], time.time() + 120

    def send():
        try:
            seen.append(fails(openai.UnprocessableEntityError, lambda: api.images.edit(image=("a.png", large), prompt="a", extra_body=FAST), "image", 422))
        except Exception as e:
            seen.append(e)

    while not (seen and isinstance(seen[-1], openai.APIStatusError)) and time.time() < end:  # a worker may be done before it is hit
        t = threading.Thread(target=send)
        t.start()
        while t.is_alive():
            api.server.kill_decoders()
        t.join()
    assert isinstance(seen[-1], openai.APIStatusError), seen[-1]
    assert pixels(file_of(api.images.edit(image=("a.png", RED), prompt="a", extra_body=FAST)))


@case
def a_full_queue_is_429(api):
    with Server(*api.command, "--queue", "8") as server:
        once = openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none", max_retries=0)

        def hold():
            try:
                once.images.generate(prompt="a", n=8, extra_body={"steps": 200})
            except openai.APIError:
                pass  # the server ends first

        threads = []
        end = time.time() + 60
        steady = 0  # until no more fit into a pass: pictures wait for a moment before they join one, too
        while steady < 3 and time.time() < end:
            steady = steady + 1 if server.metrics()["duet_queue_waiting"] >= 4 else 0
            if not steady:
                threads.append(threading.Thread(target=hold))
                threads[-1].start()
            time.sleep(0.5)
        e = fails(openai.RateLimitError, lambda: once.images.generate(prompt="a", n=5), None, 429, "queue_full")
        assert int(e.response.headers["retry-after"]) >= 1
        thrice = once.with_options(max_retries=2)  # as it comes: it obeys Retry-After, after which there may be room
        began = time.time()
        try:
            thrice.images.generate(prompt="a", n=5)
            tries = range(1, 3)
        except openai.RateLimitError:
            tries = [3]
        assert server.metrics()['duet_requests_total{route="/v1/images/generations",status="429"}'] - 1 in tries
        assert time.time() - began >= 1
        # What can never fit is not put off.
        fails(openai.BadRequestError, lambda: once.images.generate(prompt="a", n=9), None, 400)
    for thread in threads:
        thread.join()


@case
def quality_high_is_the_best_of_eight(api):
    high = api.images.generate(prompt="a red circle", quality="high", extra_body={"seed": 7, "steps": 12})
    assert high.quality == "high" and high.data[0].seed in range(7, 15), high.data[0].seed
    alone = api.images.generate(prompt="a red circle", extra_body={"seed": high.data[0].seed, "steps": 12})
    assert file_of(alone) == file_of(high)


@case
def too_late_is_504_and_not_tried_again(api):
    with Server(*api.command, "--timeout", "1") as server:
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none", max_retries=2)
        fails(openai.InternalServerError, lambda: client.images.generate(prompt="a", n=10, size="128x128", extra_body={"steps": 200}), None, 504, "timeout")
        assert server.metrics()['duet_requests_total{route="/v1/images/generations",status="504"}'] == 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("duet")
    parser.add_argument("--only", default="")
    args, more = parser.parse_known_args()
    failed, chosen = [], [c for c in CASES if args.only in c.__name__]
    with Server(args.duet, *more) as server:
        api = openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none", max_retries=0)
        model = api.models.list().data[0]
        api.server, api.command, api.name, api.side = server, (args.duet, *more), model.id, model.size
        for c in chosen:
            try:
                c(api)
            except Exception as e:
                failed.append(c.__name__)
                where = e.__traceback__
                while where.tb_next and where.tb_next.tb_frame.f_code.co_filename == os.path.abspath(__file__):
                    where = where.tb_next
                print(f"FAILED {c.__name__} (line {where.tb_lineno}): {type(e).__name__}: {str(e)[:300]}")
    print(f"openai {openai.__version__}: {len(chosen) - len(failed)} of {len(chosen)} cases passed")
    sys.exit(bool(failed) or not chosen)


main()

"""Makes tokenizer.json, tokenizer_cases.json and tokenizer_corpus.txt with Hugging Face `tokenizers` 0.23.3.

    pip install tokenizers && python3 tests/golden/tokenizer.py [--check SAVED.json]

--check makes nothing: it loads a tokenizer.json that duet saved from the fixture, encodes every case with it and
compares with the committed ids.
"""
import json
import pathlib
import random
import sys

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
NAMES = ["pad", "bos", "eos", "en", "ko", "image", "mask"] + [f"reserved{i}" for i in range(7, 16)]
SPECIALS = [f"<|{name}|>" for name in NAMES]
VOCAB = 900

COLOURS = {"red": "빨간", "orange": "주황", "yellow": "노란", "green": "초록", "blue": "파란", "purple": "보라", "black": "검은"}
SHAPES = {"circle": "원", "square": "사각형", "triangle": "삼각형", "star": "별", "flower": "꽃", "cat face": "고양이 얼굴"}
EMOJI = ["😀", "👩‍🚀", "🏳️‍🌈", "👍🏽", "🇰🇷", "❤️", "🐈"]


def corpus(rng):
    lines = []
    for _ in range(260):
        (c, ck), (d, dk) = rng.choice(list(COLOURS.items())), rng.choice(list(COLOURS.items()))
        (s, sk), (t, tk) = rng.choice(list(SHAPES.items())), rng.choice(list(SHAPES.items()))
        n = rng.randint(1, 12)
        lines += [f"a {c} {s} above a {d} {t}", f"{ck} {sk}이 {dk} {tk} 위에 있다", f"There are {n} {c} {s}s; it's {d}!",
                  f"{ck} {sk} {n}개가 있어요. {rng.choice(EMOJI)}", "a" * n + " " * n + "na" * n]
    return lines


def texts(rng, lines):
    """What could be cut or merged in more than one way."""
    out = [
        "", " ", "  ", "\n", " \n ", "a  b   c\t\td \n\n e ", "trailing   ", "   leading",
        "don't I'm we'll they've he'd you're", "DON'T 'S 's's 'tis", "x1y2 3z 10,000.5", "...---!!! ?", " ...",
        "<|eos|> is text, <|en|><|ko|>", "a_b-c/d\\e", "빨간 원이 파란 사각형 위에 있다", "뷁 쀍 꿹", "한글 자모 ㅋㅋㅋ ㅠㅠ",
        "각각", "ＡＢＣ １２３", "日本語のテキスト、中文文本。", "ไทย ภาษา", "e\u0301 n\u0303 o\u0308",
        "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇰🇷🇺🇸", "a\u00a0b\u2003c\u3000d\u2028e\u0085f\u200bg\ufeffh\u180ei\u001cj", "½ Ⅷ ² ٣ ௧",
        "\u0000\u0001\u007f\u0080\u009f", "\U0010ffff\ue000\ufffd", "a" * 300, "가" * 200, " " * 150 + "x",
        "naanaananaaan aaaaaaa"]
    words = sorted({word for line in lines for word in line.split()})
    blocks = [(0x20, 0x7E)] * 4 + [(0xAC00, 0xD7A3)] * 3 + [(0, 0x2FF), (0x300, 0x36F), (0x1100, 0x11FF), (0x2000, 0x206F),
              (0x3000, 0x30FF), (0x1F300, 0x1F6FF), (0x4E00, 0x4EFF), (0x600, 0x6FF), (0x9, 0xD)]
    for _ in range(250):
        parts = []
        for _ in range(rng.randint(1, 7)):
            if rng.random() < 0.5:
                parts.append(rng.choice(words) + rng.choice(["", " ", " ", "  ", "\n", "'s", "!"]))
            else:
                low, high = rng.choice(blocks)
                parts.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 5))))
        out.append("".join(parts))
    return out


def check(path):
    tokenizer = Tokenizer.from_file(path)
    tokenizer.encode_special_tokens = True
    cases = json.loads((HERE / "tokenizer_cases.json").read_text())
    wrong = [c["text"] for c in cases if tokenizer.encode(c["text"]).ids != c["ids"]
             or tokenizer.decode(c["ids"], skip_special_tokens=True) != c["text"]]
    specials = [tokenizer.token_to_id(s) for s in SPECIALS]
    print(f"{path}: {len(cases) - len(wrong)} of {len(cases)} cases agree; specials {specials}")
    return 1 if wrong or specials != list(range(len(SPECIALS))) else 0


def main():
    rng = random.Random(7)
    lines = corpus(rng)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, min_frequency=2, show_progress=False,
                                  special_tokens=[AddedToken(s, normalized=False, special=True) for s in SPECIALS],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.encode_special_tokens = True  # duet never reads special tokens out of text
    cases = [{"text": t, "ids": tokenizer.encode(t).ids} for t in texts(rng, lines)]
    tokenizer.save(str(HERE / "tokenizer.json"))
    (HERE / "tokenizer_corpus.txt").write_text("\n".join(lines) + "\n")
    (HERE / "tokenizer_cases.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


if __name__ == "__main__":
    sys.exit(check(sys.argv[2]) if sys.argv[1:2] == ["--check"] else main())

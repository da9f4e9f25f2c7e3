"""Cassette text: what is written is read back, by us and by any YAML reader; what is no plain data is refused."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lmtest.cassette import quicktext, yamltext
from lmtest.errors import CassetteFormatError

# Line ends, indentation, quotes and what YAML gives a meaning to come up more often than chance would have it.
AWKWARD = st.lists(
    st.sampled_from(
        ["\n", "\n\n", " ", "  ", "\t", ": ", "- ", "#", "|", ">", "'", '"', "\\", "---", "...", "yes", "1", "0x1f",
         "~", "null", "é", "\u2028", "\x85", "\ufeff", "\r\n", "\x00", "😀",
         "a b", "{", "]", "&a", "*a", "!!str", "? ", "%"]
    )
).map("".join)  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"])) | AWKWARD
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXT | st.sampled_from(["event", "provider_data"]), inner, max_size=4)
    ),
    max_leaves=15,
)
OBJECTS = st.dictionaries(TEXT, VALUES, min_size=1, max_size=5)


def types(value):
    """The value with its types beside it: 1, 1.0 and True are equal to Python."""
    if isinstance(value, dict):
        return {key: types(item) for key, item in value.items()}
    return [types(item) for item in value] if isinstance(value, list) else (type(value), value)


@settings(max_examples=400)
@given(OBJECTS)
@example({"a": [[["x"], {}], [], {"b": {"c": "\n"}}]})
@example({"text": " leading\nand trailing \n\n"})
def test_what_is_written_is_read_back(value):
    assert types(yamltext.load(yamltext.dump(value))) == types(value)


@settings(max_examples=200)
@given(OBJECTS)
def test_any_yaml_reader_gets_the_same_values(value):
    assert types(yaml.safe_load(yamltext.dump(value))) == types(value)


@settings(max_examples=400)
@given(OBJECTS)
@example({"a": [[["x"], {}], [], {"b": {"c": "\n"}}]})
@example({"literal": "two\nlines", "next": "- no item"})
def test_the_quick_way_reads_the_same_or_nothing(value):
    read = quicktext.read(yamltext.dump(value))

    assert read is None or types(read) == types(value)


def test_the_quick_way_reads_what_a_recording_holds():
    value = {
        "request": {"messages": [{"user": "two\nlines\n"}, {"role": "tool", "parts": [{"n": 1, "ok": True}, "x"]}]},
        "reply": {"provider_data": {"temperature": 0.5, "text": 'a "quoted" text'}, "none": None, "empty": {}},
        "digest": "0" * 64,
    }

    assert quicktext.read(yamltext.dump(value)) == value


@pytest.mark.parametrize(
    "text", ["a: 1\na: 1\n", "a: 1", "a: &x 1\n", "a:\n- 1\n", "a: 1\n---\n", "", "\n", "a: |\r\n"]
)
def test_the_quick_way_gives_up_on_what_it_would_not_have_written(text):
    assert quicktext.read(text) is None


def test_a_prompt_is_a_block_that_a_person_can_read():
    assert yamltext.dump({"system": "Answer  \n\nin one word."}) == "system: |-\n  Answer  \n\n  in one word.\n"


def test_a_file_checked_out_with_windows_line_ends_reads_the_same():
    text = yamltext.dump({"system": "two\nlines", "n": 1})

    assert yamltext.load(text.replace("\n", "\r\n")) == {"system": "two\nlines", "n": 1}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: !!python/object/apply:os.system ['touch canary']\n", 2, "the tag 'tag:yaml.org,2002:python/object"),
        ("a: !!binary aGk=\n", 1, "the tag 'tag:yaml.org,2002:binary' is refused"),
        ("a: !!set {x}\n", 1, "the tag 'tag:yaml.org,2002:set' is refused"),
        ("a: !!str 1\n", 1, "the tag 'tag:yaml.org,2002:str' is refused"),
        ("a: !!str text\n", 1, "the tag 'tag:yaml.org,2002:str' is refused"),
        ("a: 1\nb:\n- !!int 1\n", 3, "the tag 'tag:yaml.org,2002:int' is refused"),
        ("a: !!map {b: 1}\n", 1, "the tag 'tag:yaml.org,2002:map' is refused"),
        ("a: [!!seq [1]]\n", 1, "the tag 'tag:yaml.org,2002:seq' is refused"),
        ("!!str a: 1\n", 1, "the tag 'tag:yaml.org,2002:str' is refused"),
        ('a: {"b":!!str c}\n', 1, "the tag 'tag:yaml.org,2002:str' is refused"),
        ("a: ! 1\n", 1, "the tag '!' is refused"),
        ("a: &x !!str b\n", 1, "the tag 'tag:yaml.org,2002:str' is refused"),
        ("a: &a [x]\nb: *a\n", 1, "an alias (*name) is refused"),
        ("a: 1\n\na: 2\n", 3, "the key 'a' stands twice"),
        ("? [a]\n: 1\n", 1, "a key must be text"),
        ("a: [1\n", 2, "this is not YAML"),
        ("a: 'x\n", 2, "this is not YAML"),
        ("a:\n\t- 1\n", 2, "this is not YAML"),
        ("a: 1\n--- \nb: 2\n", 2, "this is not YAML"),
        ("- a\n", 1, "a mapping was expected"),
        ("", 1, "a mapping was expected"),
        ("a: \x00\n", 1, "this is not YAML"),
    ],
)
def test_what_is_no_plain_data_is_refused_with_its_line(tmp_path, text, line, problem):
    with pytest.raises(CassetteFormatError) as caught:
        yamltext.load(text, path=tmp_path / "qa.yaml", line=10)

    assert caught.value.line == 10 + line - 1
    assert f"qa.yaml:{caught.value.line}: {problem}" in str(caught.value)
    assert "restore it from version control, or record it again with LM_MODE=record" in str(caught.value)


def test_a_bomb_of_aliases_is_refused_before_it_grows():
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
    )

    with pytest.raises(CassetteFormatError, match="an alias"):
        yamltext.load(bomb)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_nesting_without_end_is_refused_and_does_not_end_the_process(opening):
    with pytest.raises(CassetteFormatError):
        yamltext.load("a:\n  " + opening * 100_000)


@pytest.mark.parametrize("length", [900, 1_100, 100_000])
def test_a_key_may_be_of_any_length(length):
    value = {"é" * length: "x"}

    assert yamltext.load(yamltext.dump(value)) == value


@pytest.mark.parametrize("text", ["on", "Yes", "1:30", "2026-11-20", "0x1f", "1_000", "NaN", "012", "~", "=", "<<"])
def test_what_some_reader_takes_for_something_else_stays_text(text):
    dumped = yamltext.dump({"a": text, text: "a"})

    assert yamltext.load(dumped) == yaml.safe_load(dumped) == {"a": text, text: "a"}

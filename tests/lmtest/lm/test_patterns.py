"""Text that a regular expression matches: whatever there is of a length is found, and what is not there is said so."""

import itertools
import re

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtest.lm.patterns import matching

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\W", r"\s", "[A-F]", "-", r"\.", "[^-b]", "é"])
ANCHORS = st.sampled_from(["^", "$", r"\b", r"\A"])
REPEATS = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "{0,9}"])


def grow(inner):
    repeated = st.tuples(inner, REPEATS).map(lambda pair: f"(?:{pair[0]}){pair[1]}")
    return (
        repeated
        | st.lists(inner, min_size=2, max_size=3).map("".join)
        | st.tuples(inner, inner).map("({0[0]}|{0[1]})".format)
    )


REGULAR = st.recursive(ATOMS | ANCHORS, grow, max_leaves=7)
WHOLE = REGULAR.map("^(?:{})$".format)
PATTERNS = st.tuples(st.sampled_from(["", "(?i)", "(?s)", "(?m)"]), REGULAR | WHOLE).map("".join)
LENGTHS = st.tuples(st.integers(0, 12), st.none() | st.integers(0, 12))


def written(pattern, least, longest, seed="a"):
    try:
        return matching(pattern, least=least, longest=longest, seed=seed)
    except ValueError as error:
        if f"was found for pattern {pattern!r}" not in str(error):
            raise
        return None


@settings(max_examples=150, deadline=None)
@given(PATTERNS, LENGTHS, st.text(max_size=3))
def test_what_is_written_is_of_the_length_and_matches_in_python_and_in_re2(pattern, lengths, seed):
    least, longest = lengths[0], None if lengths[1] is None else sum(lengths)
    text = written(pattern, least, longest, seed)
    if text is not None:
        assert least <= len(text)
        assert longest is None or len(text) <= longest
        assert re2.search(pattern, text)  # which constraints are held to
        if text.isascii():  # beyond it, Python's \b and \w say something else
            assert re.search(pattern, text)


ALPHABET = "abA0 -.\né"


@settings(max_examples=100, deadline=None)
@given(PATTERNS, st.integers(0, 3), st.integers(0, 3))
def test_where_nothing_is_written_there_is_nothing(pattern, least, more):
    if written(pattern, least, longest := min(3, least + more)) is None:
        searched = re2.compile(pattern).search
        for length in range(least, longest + 1):
            for text in map("".join, itertools.product(ALPHABET, repeat=length)):
                assert not searched(text), text


@settings(max_examples=30, deadline=None)
@given(PATTERNS, st.text(max_size=3))
def test_the_same_seed_writes_the_same(pattern, seed):
    assert written(pattern, 0, None, seed) == written(pattern, 0, None, seed)


def test_other_seeds_write_otherwise():
    assert len({matching("^[a-z]{8}$", seed=str(number)) for number in range(50)}) == 50


@pytest.mark.parametrize(
    ("pattern", "least", "longest"),
    [
        (r"^[A-Z]{3}-[0-9]{2}$", 6, 6),
        (r"^\w+@\w+\.com$", 30, 30),
        (r"^(?:[a-z]{7})+$", 50, 60),
        (r"^(?:a{5}|a{7})+b$", 1000, 1003),
        (r"^.{1,900}$", 800, 800),
        (r"^(\w{1,10} ?){1,90}$", 200, 200),
        (r"\d{1000}", 3000, 3000),
        (r"(a+)+$", 10_000, 10_000),
        (r"\bfoo\b", 8, 8),
        (r"a$", 5, 5),
    ],
)
def test_a_length_that_chance_would_not_find_is_met(pattern, least, longest):
    text = matching(pattern, least=least, longest=longest, seed="a")
    assert least <= len(text) <= longest
    assert re2.search(pattern, text)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[[:upper:]][[:^digit:]]{3}\z",
        r"^\p{Lu}\p{Ll}+\pN$",
        r"^[^\P{L}\d]{4}$",
        r"^\p{Greek}{3}$",
        r"^(?P<year>\d{4})-(?<month>\d\d)$",
        r"^\x{41}\Q[b]\E$",
        r"^[[&&~~||+--]{4}$",
        r"^[]a]{3}[^]a]$",
    ],
)
def test_spellings_of_re2_are_read(pattern):
    assert re2.search(pattern, matching(pattern, seed="a"))


@pytest.mark.parametrize(
    "pattern", [r"^(a|b)\1$", r"^(?!\s*$).+$", r"^(?=.*\d)[a-z0-9]{8}$", r"^\d++[a-z]$", r"^(?>ab|a)c$"]
)
def test_what_is_no_regular_language_is_met_by_chance(pattern):
    assert re.search(pattern, matching(pattern, longest=40, seed="a"))


@pytest.mark.parametrize(
    ("pattern", "least", "longest", "says"),
    [
        ("^a{3}$", 0, 2, "no text of at most 2 characters was found for pattern '^a{3}$'"),
        ("^a{3}$", 4, None, "no text of at least 4 characters was found for pattern '^a{3}$'"),
        ("^(?:aa)+$", 3, 3, "no text of 3 to 3 characters was found for pattern '^(?:aa)+$'"),
        ("$a", 0, None, "no text was found for pattern '$a'"),
        ("^(?!a)a", 0, None, "no text was found for pattern '^(?!a)a'"),
        ("^a++a", 0, None, "no text was found for pattern '^a++a'"),
        ("(", 0, None, "pattern '(' does not read: missing )"),
        (r"\p{Tamil}", 0, None, "does not read: no characters of the class Tamil are known here"),
        ("(a{1000}){1000}", 0, None, "pattern '(a{1000}){1000}' is too large to make up a text for"),
    ],
)
def test_what_cannot_be_met_is_told(pattern, least, longest, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        matching(pattern, least=least, longest=longest, seed="a")

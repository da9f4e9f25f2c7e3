"""Hold pairs of answers, judged by hand: the tier a careful reviewer would put each in, and why.

The judgement was written before the rules, and knows nothing of them. The question put to the reviewer was: would a
program or a reader that was given the one do anything else when given the other? `SAME`: the value is the same.
`WORDING`: only the dress differs. `CHANGED`: something may come out differently. `STRUCTURE`: no longer parsed, or
other tools called. Where it is in doubt, the further tier; where reviewers may differ, `arguable`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

import dspy
from pydantic import BaseModel

from lmtest.refresh.drift import Tier

if TYPE_CHECKING:
    from collections.abc import Mapping

SAME, WORDING, CHANGED, STRUCTURE = Tier.SAME, Tier.WORDING, Tier.CHANGED, Tier.STRUCTURE


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One pair, and its judgement.

    Attributes:
        kind: The declared type of the output field `answer`; `None` for a prompt of one's own; for a tool call, the
            JSON schema of its parameters.
        before: The answer recorded before: of the field, of the whole prompt, or the tool call's arguments.
        after: The answer of now.
        tier: What a careful reviewer says.
        why: The reason.
        arguable: Whether another careful reviewer may say otherwise.
    """

    kind: Any
    before: str
    after: str
    tier: Tier
    why: str
    arguable: bool = False


def judged(*rows: tuple[Any, ...]) -> tuple[Judged, ...]:
    """Make pairs of rows: kind, before, after, tier, why, and whether it is arguable, where it is."""
    return tuple(
        Judged(kind=kind, before=before, after=after, tier=tier, why=why, arguable=bool(arguable))
        for kind, before, after, tier, why, *arguable in rows
    )


class Colour(Enum):
    """Colours, as a program would name them."""

    RED = "red"
    DARK_RED = "dark red"


class Person(BaseModel):
    """A record with defaults."""

    name: str
    age: int = 0
    nick: str | None = None
    tags: list[str] = []


class Team(BaseModel):
    """A record of records."""

    lead: Person
    others: list[Person] = []


class Search:
    """The parameters of a tool, as JSON schema."""

    SCHEMA: Final[Mapping[str, Any]] = {
        "type": "object",
        "properties": {
            "query": {"type": "string"},
            "limit": {"type": "integer", "default": 10},
            "score": {"type": "number"},
            "exact": {"type": "boolean"},
            "extra": {},
        },
        "required": ["query"],
    }


Python: Final = dspy.Code["python"]
Sql: Final = dspy.Code["sql"]
Shell: Final = dspy.Code["bash"]
TOOL: Final = Search.SCHEMA
Grade = Literal["A", "A-", "B+"]
Mood = Literal["positive", "negative"]

PAIRS: Final = judged(
    # Prose, in English
    (str, "The capital is Paris.", "The capital is Paris", WORDING, "a full stop"),
    (str, "Paris", "paris", WORDING, "case of a plain word", True),
    (str, "Done!", "Done.", WORDING, "how loud it is said"),
    (str, "Yes, it is.", "Yes - it is.", WORDING, "a comma or a dash between words"),
    (str, "He said “no”.", 'He said "no".', WORDING, "curly quotes"),
    (str, "It's fine.", "It’s fine.", WORDING, "a curly apostrophe"),
    (str, "we're there", "were there", CHANGED, "an apostrophe makes another word"),
    (str, "Use e-mail.", "Use email.", WORDING, "two spellings of one word", True),
    (str, "Paris is the capital.", "The capital is Paris.", CHANGED, "other words in another order"),
    (str, "I don't know", "I do not know", CHANGED, "other words", True),
    (str, "one  two\nthree", "one two three", WORDING, "white space of running text"),
    (str, "It is safe.", "It is safe?", CHANGED, "a statement became a question"),
    (str, "It is safe.", "It is not safe.", CHANGED, "a negation"),
    (str, "apples, pears, and plums", "apples, pears and plums", WORDING, "the serial comma"),
    (str, "red, green", "green, red", CHANGED, "another order"),
    (str, "Wait...", "Wait…", WORDING, "an ellipsis in one character"),
    (str, "Dr. Smith", "Dr Smith", WORDING, "the full stop of an abbreviation"),
    (str, "in the U.S. today", "in the US today", WORDING, "an abbreviation without its full stops", True),
    (str, "Note: it rains", "Note - it rains", WORDING, "a colon or a dash between words"),
    (str, "Paris (the capital)", "Paris, the capital", WORDING, "brackets or a comma around an aside", True),
    (str, "Paris", "", CHANGED, "an emptied text"),
    (str, "...", "", CHANGED, "an emptied text, of punctuation"),
    (str, "yes\u200b", "yes", WORDING, "a character of no width"),
    (str, "apples\npears\nplums", "apples, pears, plums", CHANGED, "a list by lines, which programs split", True),
    (str, "Paris\nRome", "Paris Rome", CHANGED, "two lines may be two items", True),
    # Prose, in other languages and scripts
    (str, "巴黎是法国的首都。", "巴黎是法国的首都", WORDING, "the full stop of Chinese"),
    (str, "是的，可以。", "是的,可以.", WORDING, "commas and full stops, wide or narrow"),
    (str, "是", "不是", CHANGED, "a negation in Chinese"),
    (str, "「東京」です。", "東京です", WORDING, "Japanese quotes and full stop"),
    (str, "ラーメン", "ラメン", CHANGED, "the long vowel is a letter"),
    (str, "الجواب هو باريس.", "الجواب هو باريس", WORDING, "a full stop after Arabic"),
    (str, "نعم، هو كذلك", "نعم, هو كذلك", WORDING, "the Arabic comma"),
    (str, "ما اسمك؟", "ما اسمك?", WORDING, "the question mark of Arabic, or of Latin"),
    (str, "ما اسمك؟", "ما اسمك", WORDING, "a question without its mark", True),
    (str, "مُحَمَّد", "محمد", WORDING, "vowel marks, which most texts leave out", True),
    (str, "पेरिस।", "पेरिस", WORDING, "the danda"),
    (str, "की", "कि", CHANGED, "another vowel sign is another word"),
    (str, "٢٠٢٤", "2024", WORDING, "the same digits in another script", True),
    (str, "２０２４年", "2024年", WORDING, "digits of full width", True),
    (str, "Die Maße stimmen.", "Die Masse stimmen.", CHANGED, "another word in German"),
    (str, "Er sagte „Ja“.", 'Er sagte "Ja".', WORDING, "German quotes"),
    (str, "Größe", "Gro\u0308ße".replace("o\u0308", "ö"), SAME, "the very same text"),
    (str, "Größe", "Gro\u0308ße", WORDING, "composed or decomposed letters"),
    (str, "liebe Genossen", "Liebe genossen", CHANGED, "capitals tell nouns from verbs in German", True),
    (str, "Oui\u00a0!", "Oui!", WORDING, "a space before the mark in French"),
    (str, "« Oui »", '"Oui"', WORDING, "guillemets"),
    (str, "résumé", "resume", CHANGED, "accents make another word"),
    (str, "¿Dónde está?", "Dónde está?", WORDING, "the opening question mark of Spanish"),
    (str, "ılık", "ilik", CHANGED, "another letter in Turkish"),
    (str, "👍", "👎", CHANGED, "the opposite"),
    (str, "✅ tests", "❌ tests", CHANGED, "the opposite"),
    # Numbers and mathematics in text
    (str, "-.5", ".5", CHANGED, "a sign"),
    (str, ".5", "5", CHANGED, "a decimal point"),
    (str, "10⁵", "105", CHANGED, "an exponent"),
    (str, "a - b", "a b", CHANGED, "an operator"),
    (str, "5!", "5", CHANGED, "a factorial"),
    (str, "5%", "5", CHANGED, "a per cent sign"),
    (str, "50%", "50 %", WORDING, "a space before the per cent sign"),
    (str, "The answer is 5.", "The answer is 5", WORDING, "a full stop after a number"),
    (str, "5.0", "5", CHANGED, "another precision, and another literal"),
    (str, "1.000", "1,000", CHANGED, "a thousand or one, by country"),
    (str, "1,000 people", "1000 people", CHANGED, "programs read the one and not the other", True),
    (str, "x < 5", "x > 5", CHANGED, "the opposite"),
    (str, "2*3*4", "2 * 3 * 4", WORDING, "spaces around operators"),
    (str, "2 * 3 * 4", "2 3 4", CHANGED, "operators, not emphasis"),
    (str, "x = 1", "x == 1", CHANGED, "another operator"),
    (str, "(a+b)*c", "a+b*c", CHANGED, "brackets of a formula"),
    (str, "(1, 2]", "(1, 2)", CHANGED, "another interval"),
    (str, "f'(x)", "f(x)", CHANGED, "a derivative"),
    (str, "x^2", "x2", CHANGED, "a power"),
    (str, "¬p", "p", CHANGED, "a negation"),
    (str, "pages 3-5", "pages 3–5", WORDING, "a hyphen or an en dash"),
    (str, "-5", "−5", WORDING, "the minus of typography", True),
    # Money, dates, versions
    (str, "$5", "€5", CHANGED, "another currency"),
    (str, "$5", "5", CHANGED, "no currency"),
    (str, "€ 5", "€5", WORDING, "a space"),
    (str, "01/02/2024", "02/01/2024", CHANGED, "another day"),
    (str, "2024-01-05", "2024/01/05", CHANGED, "another notation, which programs parse"),
    (str, "Jan 5, 2024", "Jan 5 2024", WORDING, "a comma before the year"),
    (str, "12:30", "1230", CHANGED, "a time"),
    (str, "v1.2.3", "v1.23", CHANGED, "another version"),
    (str, "Use Python 3.12.", "Use Python 3.12", WORDING, "a full stop after a version"),
    # Identifiers, paths, addresses
    (str, "userName", "username", CHANGED, "names are told by case"),
    (str, "user_id", "user id", CHANGED, "a name is one word"),
    (str, "__init__", "init", CHANGED, "a name, not bold type"),
    (str, "ABC-123", "ABC123", CHANGED, "a key"),
    (str, "ABC-123", "abc-123", CHANGED, "a key"),
    (str, "README.md", "readme.md", CHANGED, "a file"),
    (str, "/usr/bin", "usr/bin", CHANGED, "an absolute path"),
    (str, "See https://a.org/x.", "See https://a.org/x", WORDING, "a full stop after an address"),
    (str, "https://a.org/Docs", "https://a.org/docs", CHANGED, "paths are told by case"),
    (str, "C++", "C", CHANGED, "another language"),
    (str, "C#", "C", CHANGED, "another language"),
    (str, "#general", "general", CHANGED, "a channel"),
    (str, "--force", "-force", CHANGED, "an option"),
    (str, "!done", "done", CHANGED, "a negation"),
    (str, "x[0]", "x0", CHANGED, "an index"),
    (str, "f(x)", "fx", CHANGED, "a call"),
    (str, "A-", "A", CHANGED, "a grade"),
    (str, "O+", "O-", CHANGED, "a blood group"),
    (str, r"\d+", r"\D+", CHANGED, "the opposite pattern"),
    (str, "B.", "B", WORDING, "the full stop after a choice"),
    (str, "(B)", "B", WORDING, "brackets around a choice", True),
    (str, "a,b", "a b", CHANGED, "values divided by commas, which programs split", True),
    (str, "a\tb", "a b", CHANGED, "columns divided by tabs", True),
    # Markdown
    (str, "# Result\n\nParis", "Result\n\nParis", WORDING, "a heading's mark"),
    (str, "**Paris** is big", "Paris is big", WORDING, "bold type"),
    (str, "Call `open` first", "Call open first", WORDING, "type of code"),
    (str, "- one\n- two", "* one\n* two", WORDING, "another bullet"),
    (str, "1. one\n2. two", "1) one\n2) two", WORDING, "how the numbers are set"),
    (str, "1. one\n2. two", "- one\n- two", CHANGED, "numbers that may be referred to", True),
    (str, "- [x] paid", "- [ ] paid", CHANGED, "a box that was ticked"),
    (str, "~~no~~ yes", "no yes", CHANGED, "struck out"),
    (str, "Paris [1].", "Paris. [1]", WORDING, "where the citation stands"),
    (str, "Paris [1].", "Paris [2].", CHANGED, "another source"),
    (str, "Paris [1].", "Paris.", CHANGED, "no source"),
    (str, "[Paris](https://x.org)", "Paris", CHANGED, "no address"),
    (
        str,
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "| a   | b   |\n|-----|-----|\n| 1   | 2   |",
        WORDING,
        "width of columns",
    ),
    (None, "```python\nprint(1)\n```", "print(1)", WORDING, "a fence around the whole"),
    (None, "Sure.\n```\nif a:\n    b()\nc()\n```", "Sure.\n```\nif a:\n    b()\n    c()\n```", CHANGED, "indentation"),
    (None, "Hello.", "Hello", WORDING, "a full stop, in an answer to a prompt of one's own"),
    # Code
    (Python, "if a:\n    b()\nc()", "if a:\n    b()\n    c()", CHANGED, "indentation"),
    (Python, "x=1", "x = 1", WORDING, "spaces which the language ignores"),
    (Python, "x = 'a'", 'x = "a"', WORDING, "quotes which the language takes for one"),
    (Python, "x = 1  # one", "x = 1", WORDING, "a remark", True),
    (Python, "x = A", "x = a", CHANGED, "another name"),
    (Python, "x = 'a  b'", "x = 'a b'", CHANGED, "white space of a string"),
    (Python, "```python\nx = 1\n```", "x = 1", SAME, "DSPy takes the fence off"),
    (str, "if a:\n    b()\nc()", "if a:\n    b()\n    c()", CHANGED, "indentation, in a field that may be code"),
    (str, "a:\n  b: 1\nc: 2", "a:\n  b: 1\n  c: 2", CHANGED, "indentation of YAML"),
    (Sql, "SELECT a FROM t;", "SELECT a FROM t", WORDING, "the last semicolon", True),
    (Sql, "SELECT a\nFROM t", "SELECT a FROM t", WORDING, "lines of SQL", True),
    (Sql, "SELECT a WHERE n = 'Bob'", "SELECT a WHERE n = 'bob'", CHANGED, "another value"),
    (Shell, 'echo "a  b"', 'echo "a b"', CHANGED, "white space of a string"),
    (Shell, "echo $HOME", "echo HOME", CHANGED, "a variable"),
    (Shell, "a | b", "a b", CHANGED, "a pipe"),
    (str, "<b>no</b>", "no", CHANGED, "a tag"),
    (str, '{"a": 1, "b": 2}', '{"b": 2, "a": 1}', WORDING, "the order of keys, in JSON as text", True),
    (str, '{"a": 1}', '{"a": "1"}', CHANGED, "another type"),
    # Typed fields
    (int, "42", "42.0", SAME, "one value of the type"),
    (int, "42", "43", CHANGED, "another number"),
    (int, "42", "forty-two", STRUCTURE, "not a number"),
    (float, "1", "1.0", SAME, "one value of the type"),
    (float, "0.50", "0.5", SAME, "one value of the type"),
    (float, "-0.5", "0.5", CHANGED, "a sign"),
    (bool, "True", "true", SAME, "one value of the type"),
    (bool, "True", "False", CHANGED, "the opposite"),
    (Mood, "positive", "negative", CHANGED, "another label"),
    (Mood, "positive", '"positive"', SAME, "quotes that DSPy takes off"),
    (Mood, "positive", "Positive", STRUCTURE, "not one of the labels"),
    (Grade, "A-", "A", CHANGED, "another grade"),
    (Colour, "red", "dark red", CHANGED, "another member"),
    (int | None, "None", "0", CHANGED, "nothing is not zero"),
    (list[str], '["a","b"]', '["a", "b"]', SAME, "white space of JSON"),
    (list[str], '["a", "b"]', '["b", "a"]', CHANGED, "another order"),
    (list[str], '["Paris is big."]', '["Paris is big"]', WORDING, "a full stop in an item"),
    (list[str], '["a", "b"]', '["a, b"]', CHANGED, "one item, not two"),
    (list[str], '["a"]', '["a", ""]', CHANGED, "one item more"),
    (list[float], "[1, 2]", "[1.0, 2.0]", SAME, "one value of the type"),
    (set[str], '["a", "b"]', '["b", "a"]', SAME, "sets have no order"),
    (dict[str, int], '{"a": 1, "b": 2}', '{"b": 2, "a": 1}', SAME, "the order of keys"),
    (dict[str, Any], '{"a": 1}', '{"a": true}', CHANGED, "another type"),
    (dict[str, Any], '{"a": 1}', '{"a": 1.0}', CHANGED, "another type", True),
    (dict[str, str], '{"Name": "x"}', '{"name": "x"}', CHANGED, "another key"),
    (dict[str, int], '```json\n{"a": 1}\n```', '{"a": 1}', SAME, "a fence around the whole"),
    (Person, '{"name": "Ann"}', '{"name": "Ann", "age": 0}', WORDING, "a default written out"),
    (Person, '{"name": "Ann"}', '{"name": "Ann", "nick": null, "tags": []}', WORDING, "defaults written out"),
    (Person, '{"name": "Ann"}', '{"name": "Ann", "age": 1}', CHANGED, "no default"),
    (Person, '{"name": "Ann", "age": 3}', '{"age": 3, "name": "Ann"}', SAME, "the order of keys"),
    (Person, '{"name": "Ann", "age": "3"}', '{"name": "Ann", "age": 3}', SAME, "one value of the type", True),
    (Team, '{"lead": {"name": "Ann"}}', '{"lead": {"name": "Ann", "age": 0}}', WORDING, "a default within"),
    (datetime, "2024-01-05T00:00:00Z", "2024-01-05T00:00:00+00:00", SAME, "one value of the type", True),
    # Tool calls
    (TOOL, '{"query": "x", "limit": 1}', '{"limit":1,"query":"x"}', SAME, "the order of keys"),
    (TOOL, '{"query": "x", "limit": 1}', '{"query": "x", "limit": true}', STRUCTURE, "another type"),
    (TOOL, '{"query": "x", "score": 1}', '{"query": "x", "score": 1.0}', SAME, "one value of the type"),
    (TOOL, '{"query": "x", "extra": 1}', '{"query": "x", "extra": 1.0}', STRUCTURE, "a type that is not told", True),
    (TOOL, '{"query": "Paris"}', '{"query": "paris"}', STRUCTURE, "other arguments"),
    (TOOL, '{"query": "x"}', '{"query": "x", "limit": 10}', WORDING, "a default written out"),
    (TOOL, '{"query": "x"}', '{"query": "x", "limit": 5}', STRUCTURE, "another limit"),
)

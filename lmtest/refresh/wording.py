"""The normal form of a text: two that differ in wording alone have one.

A text does not say whether it is prose, a name, a formula or code, so each line and each word is read for what it may
be, and only what is prose in every reading loses its dress. Nothing here takes away a digit or an operator.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from lmtest.refresh.code import json_form

if TYPE_CHECKING:
    from collections.abc import Iterator

# Characters that are one to a reader. Fullwidth forms of ASCII stand 0xFEE0 above it.
_SPELT: Final = {
    **{wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(map(ord, "“”„‟«»"), '"'),
    **dict.fromkeys(map(ord, "‘’‚‛‹›"), "'"),  # noqa: RUF001 - these are the quotes
    **dict.fromkeys(map(ord, "「」『』《》¿¡"), None),  # typography alone, in no language of programs
    **dict.fromkeys(map(ord, "‐‑‒–—−"), "-"),  # noqa: RUF001
    **dict.fromkeys(map(ord, "。．｡۔।॥։።"), "."),  # noqa: RUF001
    **dict.fromkeys(map(ord, "、､،՝፣"), ","),  # noqa: RUF001
    **dict.fromkeys(map(ord, "؛፤"), ";"),
    **dict.fromkeys(map(ord, "؟՞፧"), "?"),
    ord("…"): "...",
    **dict.fromkeys([0x00A0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000], " "),
    # Of no width, and without a part in how letters join.
    **dict.fromkeys([0x00AD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2060, *range(0x2066, 0x206A), 0xFEFF]),
}
_DIGIT: Final = re.compile(r"(?![0-9])\d")

_FENCED: Final = re.compile(r"(`{3,9}|~{3,9})[^\n`]*\n(.*?)\n?\1", re.DOTALL)
_FENCE: Final = re.compile(r"\s*(?:`{3,}|~{3,})[ ]?(?:[A-Za-z][\w+#.-]*)?\s*$")
# A long dash between words is a pause; a short one may take the one from the other.
_DASHED: Final = re.compile(r"(?<=[^\W\d_])\s*—\s*(?=[^\W\d_])|(?<=[^\W\d_]{2}) – (?=[^\W\d_]{2})")  # noqa: RUF001
_GUILLEMETS: Final = re.compile(r"(?<=«)\s+|\s{1,3}(?=»)")
_HEADING: Final = re.compile(r"#{1,6} +(?=[^\W_a-z])(?=[^\n=(){}\[\];<>]*$)")
_BULLET: Final = re.compile(r"[-*•] +")
_NUMBERED: Final = re.compile(r"(\d+)[.)] +")
_RULE: Final = re.compile(r"\|[|:\- ]*")
_CHOICE: Final = re.compile(r"\(?([^\W\d_])\)[.]?|\(([^\W\d_]+)\)[.]?")
_QUOTED: Final = re.compile(r'"([^"\n]*)"[.]?')

_CLOSED: Final = re.compile(r"(?<=\w) +(?=[!?;:](?:\s|$))")
_GAPS: Final = (" !", " ?", " ;", " :")
_SERIAL: Final = re.compile(r",(?= (?:and|or|nor)\b)")
_STRONG: Final = re.compile(r"(?<![^\s(\"])(\*\*\*?)(?=[\w\"'(])(?=[^*]*[^\W\d_])([^*\n=]*[^\s*])\1(?![^\s.,;:!?)\"])")
_SLANTED: Final = re.compile(r"(?<![^\s(\"])([*_])(?=[\w\"'(])([^*_\n=]*[^\s*_\d])\1(?![^\s.,;:!?)\"])")
_TICKED: Final = re.compile(r"(?<![^\s(\"])`([^`\n]+)`(?![^\s.,;:!?)\"])")
_INITIALS: Final = re.compile(r"(?:[A-Z]\.){2,}")
_SPREAD: Final = re.compile(r"(?<=\d) ([-+*/×÷=<>]|[<>=!]=) (?=\d)")  # noqa: RUF001
_UNIT: Final = re.compile(r"(?<=\d) (?=%(?!\w)|°)|(?<=[$€£¥₹]) (?=\d)")

_KEY: Final = re.compile(r"\s*[a-z_][\w.-]*:(?: +|$)")
"""What a line of data begins with, in small letters; its colon counts."""

# Lines in which every mark counts, of programs. Case tells "return" from the "Return" of a sentence.
_STATEMENT: Final = re.compile(
    r"\s*(?:(?:return|yield|assert|del|import|raise|global|nonlocal|def|class|elif|export|const|let|var|echo|sudo|cd|rm"
    r"|git|pip|npm|docker|curl)\b(?! (?:is|are|was|were)\b)|from [\w.]+ import\b"
    r"|(?:for|while|if|with|else|try|except|finally)\b.*:(?: |$)|[\w.]+\(.*\)[;:]?$|.*[;{}]$"
    r"|[\w.\[\]]+ ?[-+*/|&]?= ?[^=\s]|@\w|</?\w|(?i:select\b.*\bfrom\b|insert into\b|update\b.*\bset\b|delete from\b"
    r"|(?:create|alter|drop) (?:table|view|index)\b))"
)
_TOKEN: Final = re.compile(r'\t|"[^"]*"[^\s"]*|[^\s"]+|"')
_NUMBER: Final = re.compile(r"[-+]?[$€£¥₹]?\d+(?:[.,:]\d+)*%?|\[\d+\]")
_ENDS: Final = ".,;:!?"
_PAUSES: Final = frozenset(",;:")
_DASHES: Final = frozenset({"-", "--"})
_OPEN: Final = "/\\*=<>|&^~@$([{"
"""After these a full stop is no full stop."""

_CLAUSE: Final = 4
"""The least words in a row that make a clause, and no name."""

_STRESSED: Final = 5
"""The least length at which capitals in a sentence are stress; shorter ones may be a name of letters, as US."""

_WRAPPED: Final = 40
"""The least length at which a line may have been broken for its length."""


def normal_text(text: str) -> str:
    """Bring a text to its normal form.

    >>> normal_text("It's  **Paris**.") == normal_text("it's paris")
    True
    >>> normal_text("-5") == normal_text("5"), normal_text("f(x)") == normal_text("fx")
    (False, False)
    """
    written = spelt = text.replace("\r\n", "\n").strip()
    if (fenced := _FENCED.fullmatch(written)) and fenced[2].strip():
        written = spelt = fenced[2].strip()
    if not written.isascii():
        spelt = _DASHED.sub(", ", _GUILLEMETS.sub("", unicodedata.normalize("NFC", written))).translate(_SPELT)
        spelt = _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), spelt).strip()
    if spelt[:1] in {"{", "["} and (data := json_form(spelt)) is not None:
        return data
    if whole := _CHOICE.fullmatch(spelt):
        spelt = whole[1] or whole[2]
    elif (whole := _QUOTED.fullmatch(spelt)) and _is_prose(whole[1]):
        spelt = whole[1]
    return "\n".join(_lines(spelt)) or spelt or written


def _lines(text: str) -> Iterator[str]:
    """Its lines, without those that are blank; in a fence as they are."""
    loud = text.isupper()
    lines = list(_unwrapped(text.split("\n")))
    program = any(_is_code(line) or _KEY.match(line) for line in lines)
    fenced = False
    for line in lines:
        if _FENCE.match(line):
            fenced = not fenced
            yield "```"
        elif fenced or _is_code(line):
            yield line.rstrip()
        elif line.strip():
            yield _line(line.rstrip(), loud=loud, program=program)


def _unwrapped(lines: list[str]) -> Iterator[str]:
    """Lines, with those put together that were broken for their length: words that go on in small letters."""
    whole, last = lines[0], lines[0]
    for line in lines[1:]:
        if len(last) >= _WRAPPED and last[-1] not in ".!?:;" and line[:1].islower() and _flows(last) and _flows(line):
            whole = f"{whole} {line}"
        else:
            yield whole
            whole = line
        last = line
    yield whole


def _flows(line: str) -> bool:
    return not _is_code(line) and not _KEY.match(line) and all(_is_plain(token) for token in _TOKEN.findall(line))


def _is_code(line: str) -> bool:
    return _STATEMENT.match(line) is not None


def _line(line: str, *, loud: bool, program: bool) -> str:
    if key := _KEY.match(line):
        return f"{key[0].rstrip()} {_words(line[key.end() :], loud=loud)}"
    body = line.lstrip()
    indent = line[: len(line) - len(body)]
    if _RULE.fullmatch(body):
        return indent + re.sub(r"-+", "---", body.replace(" ", ""))
    if not program and (heading := _HEADING.match(line)):
        return _words(line[heading.end() :], loud=loud)
    if bullet := _BULLET.match(body):
        rest = body[bullet.end() :]
        # "- 5" may be a number, and "* x" the rest of a formula.
        mark = "•" if _is_prose(rest.partition(" ")[0]) and len(rest) > 1 else body[0]
        return f"{indent}{mark} {_words(rest, loud=loud)}"
    if numbered := _NUMBERED.match(body):
        return f"{indent}{numbered[1]}. {_words(body[numbered.end() :], loud=loud)}"
    return indent + _words(body, loud=loud)


def _words(text: str, *, loud: bool) -> str:
    """A line in lower case where it is words, and without the marks between them where it is a sentence.

    Args:
        text: The line, without what marks it as an item or a heading.
        loud: Whether all of the text is in capitals.
    """
    # A search for what is seldom there takes longer than all else, so first for a character of it.
    text = _CLOSED.sub("", text) if any(gap in text for gap in _GAPS) else text
    text = _UNIT.sub("", text) if "%" in text or "$" in text or not text.isascii() else text
    text = _SERIAL.sub("", text) if "," in text else text
    text = _STRONG.sub(r"\2", text) if "**" in text else text
    text = _TICKED.sub(_unticked, text) if "`" in text else text
    if "*" in text or "_" in text:
        slanted = _Line.read(_SLANTED.sub(r"\2", text), loud=loud)
        if slanted.sentence and len(slanted.tokens) >= _CLAUSE:  # else it may be a pattern
            return slanted.normal()
    return _Line.read(text, loud=loud).normal()


class _Line(NamedTuple):
    """A line, word by word.

    Attributes:
        text: The line.
        tokens: Its words, with the marks that stick to them.
        formal: Whether not all are words and numbers: in a formula, x is not X.
        sentence: Whether it is one.
        loud: Whether all of the text is in capitals.
    """

    text: str
    tokens: list[str]
    formal: bool
    sentence: bool
    loud: bool

    @classmethod
    def read(cls, text: str, *, loud: bool) -> _Line:
        """Read a line."""
        tokens = _TOKEN.findall(_SPREAD.sub(r"\1", text))
        formal = not all(map(_is_plain, tokens))
        return cls(text, tokens, formal, not formal and _is_sentence(tokens), loud and not formal)

    def normal(self) -> str:
        """The line in its normal form."""
        within, end = (self.formal, self.sentence, self.loud, self.sentence), (*self[2:], False)
        said = [_dressed(*each, within) for each in zip(self.tokens, ("", *map(_kind, self.tokens)), strict=False)]
        if said:
            said[-1] = _dressed(self.tokens[-1], _kind(self.tokens[-2]) if len(said) > 1 else "", end)
        if self._pauses():
            del said[1]
        return " ".join(said) or self.text

    def _pauses(self) -> bool:
        """Whether a dash follows the first word of a sentence, where it is a pause; later it may be a minus."""
        return self.sentence and len(self.tokens) >= _CLAUSE and self.tokens[1] in _DASHES and _is_long(self.tokens[0])


@functools.lru_cache(maxsize=8192)
def _dressed(token: str, before: str, line: tuple[bool, bool, bool, bool]) -> str:
    """A word as it stands in a line.

    Args:
        token: The word, with its marks.
        before: What it stands after: a ``word``, a ``number`` or anything else.
        line: Whether the line is formal, a sentence, and loud, and whether a pause after a word says nothing.
    """
    if initials := _INITIALS.match(token):
        token = initials[0].replace(".", "") + token[initials.end() :]
    core = token.rstrip(_ENDS)
    if not core or core[-1] in _OPEN:
        return token
    formal, sentence, loud, free = line
    marks, word = token[len(core) :], _is_word(core)
    kept = "?" if "?" in marks else ""
    if "!" in marks and not (word and (len(core) > 1 or not core.isascii())):
        kept += "!"  # of a factorial, say
    if marks[:1] in _PAUSES and not (free and (word or before == "word")):
        kept += marks[0]
    if before == "number" and len(core) < _CLAUSE:
        return core + kept  # a unit, which is told by case
    stressed = loud or (sentence and len(core) >= _STRESSED and core.isupper())
    if word and (stressed or core[1:].islower() or (len(core) == 1 and not formal)):
        core = core.lower()
    return core + kept


@functools.lru_cache(maxsize=8192)
def _kind(token: str) -> str:
    return "word" if _is_word(token) else "number" if _NUMBER.fullmatch(token) else ""


def _unticked(ticked: re.Match[str]) -> str:
    """A name without its ticks; in them it is told by case, and without them a word is not."""
    return ticked[1] if ticked[1] == ticked[1].lower() else ticked[0]


def _clauses(tokens: list[str]) -> list[int]:
    """How many words and numbers stand between the pauses of a line."""
    pauses = [place for place, token in enumerate(tokens) if token[-1] in _PAUSES or token in _DASHES]
    ends = [place + (tokens[place] not in _DASHES) for place in pauses]
    starts = [0, *(place + 1 for place in pauses)]
    return [end - start for start, end in zip(starts, [*ends, len(tokens)], strict=True) if end > start]


def _is_sentence(tokens: list[str]) -> bool:
    """Whether words follow each other as in a sentence: in a list of names the parts are short, and of one length."""
    follow = any(
        _is_word(one) and _is_plain(other) and (len(one) > 1 or _is_long(other.rstrip(_ENDS)))
        for one, other in pairwise(tokens)
        if other not in _DASHES
    )
    lengths = _clauses(tokens)
    return follow and (len(lengths) == 1 or max(lengths) >= _CLAUSE or len(set(lengths)) > 1)


def _is_prose(text: str) -> bool:
    tokens = text.split()
    return bool(tokens) and all(_is_word(token.strip(f"{_ENDS}*`\"'()")) for token in tokens)


@functools.lru_cache(maxsize=8192)
def _is_plain(token: str) -> bool:
    bare = token.rstrip(_ENDS)
    return (
        token in _DASHES
        or _is_word(bare)
        or _NUMBER.fullmatch(bare) is not None
        or _INITIALS.match(token) is not None
        or _is_word(bare.strip('"()'))
        or (bare[:1] == '"' == bare[-1:] and _is_prose(bare[1:-1]))
    )


def _is_long(token: str) -> bool:
    return len(token) > 1 and _is_word(token)


@functools.lru_cache(maxsize=8192)
def _is_word(token: str) -> bool:
    """Whether it is letters alone, but for marks inside, as in "it's"."""
    if token.isalpha():
        return True
    if not token or not token[0].isalpha():
        return False
    inner = token[1:-1].replace("-", "").replace("'", "") + token[-1]
    return all(each.isalpha() or _joins(each) for each in inner)


def _joins(character: str) -> bool:
    """Whether a character is a part of the letter before it, as a vowel sign is."""
    return unicodedata.category(character)[0] == "M" or character in "\u200c\u200d"

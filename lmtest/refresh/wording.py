"""Normal forms of texts and of code: two that are put in other words of the same wording have one.

A text does not say whether it is prose, a name, a formula or code, so each line and each word is read for what it may
be, and only what is prose in every reading loses its dress. Nothing here takes away a digit or an operator.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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

_FENCED: Final = re.compile(r"(`{3,}|~{3,})[^\n`]*\n(.*?)\n?\1", re.DOTALL)
_FENCE: Final = re.compile(r"\s*(?:`{3,}|~{3,})")
_GUILLEMETS: Final = re.compile(r"(?<=«)\s+|\s+(?=»)")
_HEADING: Final = re.compile(r"#{1,6} +(?=[^\W_a-z])(?=[^\n=(){}\[\];<>]*$)")
_BULLET: Final = re.compile(r"[-*•] +")
_NUMBERED: Final = re.compile(r"(\d+)[.)] +")
_RULE: Final = re.compile(r"\|[|:\- ]*-[|:\- ]*")
_CHOICE: Final = re.compile(r"\(?([^\W\d_])\)[.]?|\(([^\W\d_]+)\)[.]?")
_QUOTED: Final = re.compile(r'"([^"\n]*)"[.]?')

_CLOSED: Final = re.compile(r"(?<=\w) +(?=[!?;:](?:\s|$))")
_SERIAL: Final = re.compile(r",(?= (?:and|or|nor)\b)")
_STRONG: Final = re.compile(r"(?<![^\s(\"])(\*\*\*?)(?=[\w\"'(])(?=[^*]*[^\W\d_])([^*\n=]*[^\s*])\1(?![^\s.,;:!?)\"])")
_SLANTED: Final = re.compile(r"(?<![^\s(\"])([*_])(?=[\w\"'(])([^*_\n=]*[^\s*_\d])\1(?![^\s.,;:!?)\"])")
_TICKED: Final = re.compile(r"(?<![^\s(\"])`([^`\n]+)`(?![^\s.,;:!?)\"])")
_INITIALS: Final = re.compile(r"(?<![^\s(])(?:[A-Z]\.){2,}")
_SPREAD: Final = re.compile(r"(?<=\d) ([-+*/×÷=<>]|[<>=!]=) (?=\d)")  # noqa: RUF001
_UNIT: Final = re.compile(r"(?<=\d) (?=%(?!\w)|°)|(?<=[$€£¥₹]) (?=\d)")

# Lines in which every mark counts: of programs, and of data. Case tells "return" from the "Return" of a sentence.
_STATEMENT: Final = re.compile(
    r"\s*(?:(?:return|yield|assert|del|import|raise|global|nonlocal|def|class|elif|export|const|let|var|echo|sudo|cd|rm"
    r"|git|pip|npm|docker|curl)\b(?! (?:is|are|was|were)\b)|from [\w.]+ import\b"
    r"|(?:for|while|if|with|else|try|except|finally)\b.*:$|[a-z_][\w.-]*:(?: |$)|[\w.]+\(.*\)[;:]?$|.*[;{}]$"
    r"|[\w.\[\]]+ ?[-+*/|&]?= ?[^=\s]|@\w|</?\w|(?i:select\b.*\bfrom\b|insert into\b|update\b.*\bset\b|delete from\b"
    r"|(?:create|alter|drop) (?:table|view|index)\b))"
)
_TOKEN: Final = re.compile(r'\t|"[^"]*"[^\s"]*|[^\s"]+|"')
_NUMBER: Final = re.compile(r"[-+]?[$€£¥₹]?\d+(?:[.,:]\d+)*%?|\[\d+\]")
_ENDS: Final = ".,;:!?"
_OPEN: Final = "/\\*=<>|&^~@$([{"
"""After these a full stop is no full stop."""

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
    spelt = _GUILLEMETS.sub("", unicodedata.normalize("NFC", text)).translate(_SPELT)
    spelt = _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), spelt).replace("\r\n", "\n").strip()
    if fenced := _FENCED.fullmatch(spelt):
        return normal_text(fenced[2]) or spelt
    if spelt[:1] in {"{", "["} and (data := _json(spelt)) is not None:
        return data
    if whole := _CHOICE.fullmatch(spelt):
        spelt = whole[1] or whole[2]
    elif (whole := _QUOTED.fullmatch(spelt)) and _is_prose(whole[1]):
        spelt = whole[1]
    return "\n".join(_lines(spelt)) or spelt


def normal_code(code: str, language: str) -> str:
    r"""Bring code to its normal form: Python's is its syntax tree, of another language only what none of them heeds.

    >>> normal_code("x=1", "python") == normal_code("x = 1  # one", "python")
    True
    >>> normal_code("if a:\n  b()\nc()", "python") == normal_code("if a:\n  b()\n  c()", "python")
    False
    """
    form = _FORMS.get(language.lower(), _plain_code)
    return form(code) or _plain_code(code)


def _tree(code: str) -> str | None:
    try:
        return ast.dump(ast.parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _json(text: str) -> str | None:
    """JSON with its keys in order; a number stays as it is written."""
    try:
        data = json.loads(text, parse_int=_Written, parse_float=_Written, parse_constant=_Written)
        return json.dumps(data, sort_keys=True)
    except (ValueError, RecursionError):
        return None


class _Written(dict[str, str]):
    """A number as it is written; an object, so that it is no text."""

    def __init__(self, text: str) -> None:
        super().__init__({"": text})


_SQL_WORD: Final = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|\s+|.", re.DOTALL)


def _sql(code: str) -> str | None:
    """SQL on one line, without its last semicolon; None where a remark ends with its line."""
    words = _SQL_WORD.findall(code.strip())
    text = "".join(" " if word.isspace() else word for word in words)
    return None if "--" in text or "#" in text else text.removesuffix(";").rstrip()


def _plain_code(code: str) -> str:
    lines = [line.rstrip() for line in code.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines).lstrip("\n")


_FORMS: Final[dict[str, Callable[[str], str | None]]] = {
    "python": _tree, "py": _tree, "python3": _tree, "json": _json, "sql": _sql
}  # fmt: skip


def _lines(text: str) -> Iterator[str]:
    """Its lines, without those that are blank; in a fence as they are."""
    loud = text.isupper()
    lines = list(_unwrapped(text.split("\n")))
    program = any(map(_is_code, lines))
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
    return not _is_code(line) and all(_is_plain(token) for token in _TOKEN.findall(line))


def _is_code(line: str) -> bool:
    return _STATEMENT.match(line) is not None


def _line(line: str, *, loud: bool, program: bool) -> str:
    body = line.lstrip()
    indent = line[: len(line) - len(body)]
    if _RULE.fullmatch(body):
        return indent + re.sub(r"-+", "---", body.replace(" ", ""))
    if not program and (heading := _HEADING.match(line)):
        return _Words(line[heading.end() :], loud=loud).normal()
    if bullet := _BULLET.match(body):
        rest = body[bullet.end() :]
        # "- 5" may be a number, and "* x" the rest of a formula.
        mark = "•" if _is_prose(rest.partition(" ")[0]) and len(rest) > 1 else body[0]
        return f"{indent}{mark} {_Words(rest, loud=loud).normal()}"
    if numbered := _NUMBERED.match(body):
        return f"{indent}{numbered[1]}. {_Words(body[numbered.end() :], loud=loud).normal()}"
    return indent + _Words(body, loud=loud).normal()


class _Words:
    """A line, word by word.

    Args:
        text: The line, without what marks it as an item or a heading.
        loud: Whether all of the text is in capitals.
    """

    def __init__(self, text: str, *, loud: bool) -> None:
        text = _SERIAL.sub("", _CLOSED.sub("", text))
        text = _STRONG.sub(r"\2", text) if "**" in text else text
        text = _TICKED.sub(_unticked, text) if "`" in text else text
        text = _INITIALS.sub(lambda found: found[0].replace(".", ""), text)
        self._loud = loud
        self._read(_SLANTED.sub(r"\2", text))
        if not self._sentence:  # a mark of a formula, or of a pattern
            self._read(text)

    def _read(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(_UNIT.sub("", _SPREAD.sub(r"\1", text)))
        # In a formula, x is not X.
        self._formal = not all(map(_is_plain, self._tokens))
        self._sentence = not self._formal and _is_sentence(text, self._tokens)

    def normal(self) -> str:
        """The words in lower case, and the marks between words left out of a sentence."""
        said = [self._said(place, token) for place, token in enumerate(self._tokens)]
        return " ".join(each for each in said if each) or self._text

    def _said(self, place: int, token: str) -> str:
        if token in {"-", "--"} and self._pauses(place):
            return ""
        core = token.rstrip(_ENDS)
        if not core or core[-1] in _OPEN:
            return token
        return self._cased(core) + self._marks(core, token[len(core) :], place)

    def _pauses(self, place: int) -> bool:
        """Whether a dash is a pause in a sentence, and does not take the one from the other."""
        return self._sentence and 0 < place < len(self._tokens) - 1 and (place == 1 or self._text[-1] in ".!?")

    def _marks(self, core: str, marks: str, place: int) -> str:
        """What stays of the marks after a word."""
        kept = "?" if "?" in marks else ""
        if "!" in marks and not (_is_word(core) and (len(core) > 1 or not core.isascii())):
            kept += "!"  # of a factorial, say
        last = place == len(self._tokens) - 1
        free = self._sentence and not last and (_is_word(core) or (place and _is_word(self._tokens[place - 1])))
        return kept + (marks[0] if marks[:1] in {",", ";", ":"} and not free else "")

    def _cased(self, token: str) -> str:
        stressed = (self._loud and not self._formal) or (self._sentence and len(token) >= _STRESSED and token.isupper())
        plain = stressed or token[1:].islower() or (len(token) == 1 and not self._formal)
        return token.lower() if plain and _is_word(token) else token


def _unticked(ticked: re.Match[str]) -> str:
    """A name without its ticks; in them it is told by case, and without them a word is not."""
    return ticked[1] if ticked[1] == ticked[1].lower() else ticked[0]


def _is_sentence(text: str, tokens: list[str]) -> bool:
    """Whether words follow each other with no mark between, and begin or end as a sentence: no list, and no formula."""
    bare = [token.rstrip(_ENDS) for token in tokens]
    follow = any(
        token == before and _is_plain(after) and (_is_long(before) or _is_long(after))
        for token, before, after in zip(tokens, bare, bare[1:], strict=False)
    )
    begins = text[:1].isupper() and any(word.islower() or word.isdigit() for word in bare)
    return follow and (begins or text[-1:] in ".!?")


def _is_prose(text: str) -> bool:
    tokens = text.split()
    return bool(tokens) and all(_is_word(token.strip(f"{_ENDS}*`\"'()")) for token in tokens)


def _is_plain(token: str) -> bool:
    bare = token.rstrip(_ENDS)
    return (
        token in {"-", "--"}
        or _is_word(bare)
        or _NUMBER.fullmatch(bare) is not None
        or _is_word(bare.strip('"()'))
        or (bare[:1] == '"' == bare[-1:] and _is_prose(bare[1:-1]))
    )


def _is_long(token: str) -> bool:
    return len(token) > 1 and _is_word(token)


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

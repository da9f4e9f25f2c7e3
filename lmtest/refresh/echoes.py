r"""What of an answer stands in a later request, in whatever form a program put it there.

Texts are compared by their words: case, punctuation, white space, list marks, and escapes of JSON or HTML do not count.

    a sentence, or a beginning of eight words      stands anywhere in the later request
    a value or a line of four letters, two words   stands anywhere in what the program wrote into it
        of six, or a number of five digits
    any other word, and one of a closed set        is a whole value there: an input field, an item, a line
    a shorter number, yes, no and their like       is a whole value there, in a field of the same name
"""

from __future__ import annotations

import contextlib
import html
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lmtest.lm.layout import read_layout
from lmtest.refresh.answer import read_answer
from lmtest.refresh.prompt import prompt_of, read_inputs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lmtest.cassette.interaction import Interaction, Json

_IDEOGRAPH: Final = "\u3040-\u30ff\u3400-\u9fff"  # scripts without spaces between their words
_WORD: Final = re.compile(rf"[{_IDEOGRAPH}]|(?:(?<!\w)[+-])?\d+(?:[.,:/]\d+)*|[^\W_{_IDEOGRAPH}]+")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n")  # noqa: RUF001 - full stops of other scripts
_LIST_MARK: Final = re.compile(r"^\s*(?:[-*•]|\(?\w{1,3}[.)]|\[\d+\])\s+")
_LABEL: Final = re.compile(r"^\s*(\w[\w ]{0,30}):\s+(\S.*)$")
_QUOTED_ITEM: Final = re.compile(r"«(.*?)»", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_HEADER: Final = re.compile(r"^\[\[ ## (\w+) ## \]\]$", re.MULTILINE)
_COMMON: Final = frozenset(
    {"yes", "no", "true", "false", "none", "null", "nil", "unknown", "other", "okay", "neither", "both"}
)
_OPENING: Final = 8  # words that two texts do not begin with by chance
_LONGEST_QUOTE: Final = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class _Piece:
    """Something that an answer says.

    Attributes:
        text: As it stands there.
        words: The same, as :func:`_words` gives it.
        name: The field that it is a value of; empty where it is only a part of one.
        trivial: Whether it is so short or common that nothing but its field's name says where it comes from.
        telling: Whether a program's text that holds it has it from there.
        unmistakable: Whether any text that holds it has it from there.
    """

    text: str
    words: str
    name: str
    trivial: bool
    telling: bool
    unmistakable: bool

    @classmethod
    def of(cls, text: str, *, name: str = "", closed: bool = False) -> _Piece:
        """Weigh what an answer says; a value that is one of a few tells nothing inside of a text."""
        words = _words(text)
        count, letters = len(words.split()), _letters(words)
        digits = sum(letter.isdigit() for letter in words)
        trivial = count == 1 and (0 < digits < 5 or (not digits and letters < 3) or words.strip() in _COMMON)
        return cls(
            text=text,
            words=words,
            name=name,
            trivial=trivial,
            telling=not (closed or trivial) and letters >= (4 if count == 1 else 6),
            unmistakable=count >= 3 and letters >= 12,
        )


class Echoes:
    """What each of a cassette's requests holds, and what each answer says.

    Args:
        calls: The calls, in their order.
    """

    def __init__(self, calls: Iterable[Interaction]) -> None:
        self._calls = list(calls)
        self._asked = [_Asked.of(call.request) for call in self._calls]
        self._said = [list(_pieces(call)) for call in self._calls]

    def find(self, later: int) -> tuple[int, str] | None:
        """Find the first call before one whose answer its request holds, and what it holds; places count from 0."""
        for earlier in range(later):
            for piece in self._said[earlier]:
                if self._asked[later].holds(piece) and not any(
                    before.holds(piece) for before in self._asked[: earlier + 1]
                ):
                    return earlier, _quoted(piece.text)
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """A request.

    Attributes:
        written: The words that a program wrote into it.
        told: The words of what its predictor is told to do.
        values: Whole values in it, and the names of the fields where they are.
    """

    written: str
    told: str
    values: dict[str, set[str]]

    @classmethod
    def of(cls, request: Json) -> _Asked:
        prompt, inputs = prompt_of(request), read_inputs(request)
        turns = [message for message in request.get("messages") or () if message.get("role") not in _TELLING]
        texts = ["".join(part.get("text") or "" for part in turn.get("parts") or ()) for turn in turns]
        named = list(inputs.items())
        for text in texts[:-1] if inputs else texts:
            named += _sections(text)
        values: dict[str, set[str]] = {}
        for name, text in named:
            for label, value in _values(name, text):
                values.setdefault(_words(value), set()).add(label.casefold())
        return cls(written=_readings(text for _, text in named), told=_readings([prompt]), values=values)

    def holds(self, piece: _Piece) -> bool:
        if piece.name and piece.words in self.values:
            return not piece.trivial or piece.name.casefold() in self.values[piece.words]
        if piece.unmistakable:
            return piece.words in self.written or piece.words in self.told
        return bool(piece.name) and piece.telling and piece.words in self.written


_TELLING: Final = frozenset({"system", "developer"})


def _pieces(call: Interaction) -> Iterator[_Piece]:
    """What an answer says, from the whole to its parts."""
    if call.failed or call.tool or call.embeds:
        return
    answer = read_answer(call)
    closed = _closed(prompt_of(call.request)) if answer.fields else frozenset()
    said = list(answer.fields.items()) or [("text", answer.text)]
    for name, value in [*said, *((use.name, use.arguments) for use in answer.uses)]:
        for label, text in _leaves(name, value):
            whole = _Piece.of(text, name=label, closed=name in closed)
            if whole.words.strip():
                yield whole
                yield from (each for each in _parts(whole) if each.unmistakable)


def _parts(whole: _Piece) -> Iterator[_Piece]:
    """Sentences and the beginning of a text; lines are among its values."""
    yield from map(_Piece.of, _SENTENCE_END.split(whole.text))
    words = whole.words.split()
    if len(words) > _OPENING:
        yield _Piece.of(" ".join(words[:_OPENING]))


def _closed(prompt: str) -> frozenset[str]:
    """The output fields that can have a few values only."""
    with contextlib.suppress(ValueError):  # an adapter of one's own
        if layout := read_layout(prompt):
            return frozenset(each.name for each in layout.fields if "enum" in each.schema)
    return frozenset()


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """The values inside a value, and itself, each with the name of what holds it."""
    match value:
        case None:
            return
        case str():
            yield from _values(name, value)
        case dict() | list() | tuple():
            yield name, json.dumps(value, ensure_ascii=False, default=str)
            named = value.items() if isinstance(value, dict) else ((name, item) for item in value)
            for label, item in named:
                yield from _leaves(str(label), item)
        case _:
            yield name, str(value)


def _values(name: str, text: str) -> Iterator[tuple[str, str]]:
    """A text, what it holds as JSON, and its lines without the marks of a list."""
    yield name, text
    with contextlib.suppress(ValueError):
        if text.lstrip()[:1] in {"{", "["}:
            yield from _leaves(name, json.loads(text))
    for item in _QUOTED_ITEM.findall(text):
        yield name, item
    lines = [line for line in text.splitlines() if line.strip()]
    for line in lines if len(lines) > 1 else ():
        yield name, _LIST_MARK.sub("", line)
    for line in lines:
        if label := _LABEL.match(_LIST_MARK.sub("", line)):
            yield label[1], label[2]


def _sections(text: str) -> list[tuple[str, str]]:
    """The texts under an adapter's headers, with their names; else the text, without one."""
    found = _HEADER.split(text)
    return [("", text)] if len(found) == 1 else list(zip(found[1::2], found[2::2], strict=True))


def _readings(texts: Iterable[str]) -> str:
    """The words of texts, as they stand there and as JSON or HTML has escaped them, once or twice."""
    read: list[str] = []
    for text in texts:
        once = _unescaped(text)
        read += dict.fromkeys([text, once, _unescaped(once), html.unescape(text)])
    return "|".join(map(_words, read))


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(
        lambda found: chr(int(found[1], 16)) if found[1] else " " if found[2] in "nrtbf" else found[2], text
    )
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _words(text: str) -> str:
    """The words of a text in one form, with a space around each."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return f" {' '.join(_WORD.findall(plain))} "


def _letters(words: str) -> int:
    """How much words say, in letters; a character that is a word says as much as three."""
    return sum(3 if re.match(f"[{_IDEOGRAPH}]", letter) else letter.isalnum() for letter in words)


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_QUOTE else f"{line[: _LONGEST_QUOTE - 1]}…"

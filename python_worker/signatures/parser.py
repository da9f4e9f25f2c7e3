"""The parser of the native syntax."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken, v_args

from python_worker.domain.constraints import CONSTRAINTS, Constraint, build_constraint
from python_worker.domain.field import REQUIRED, Field
from python_worker.domain.signature import Signature
from python_worker.domain.types import Type, build_type, type_names
from python_worker.signatures.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from python_worker.domain.errors import WorkerError

MAX_LENGTH = 65_536
MAX_DEPTH = 16

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?=\s*$)")
_BRACKETS = re.compile(r'"(?:[^"\\\n]|\\.)*"|[()\[\]{}]')
_WORDS = {
    "SIGNATURE": "'signature'",
    "NAME": "a name",
    "TYPE": "a type, such as :string",
    "STRING": "text in quotes",
    "NUMBER": "a number",
    "COLON": "':'",
    "COMMA": "','",
    "EQUAL": "'='",
    "_LPAR": "'('",
    "_RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "TRUE": "'true'",
    "FALSE": "'false'",
    "NULL": "'null'",
    "__ANON_0": "'->'",
    "$END": "the end",
}
_VALUES = {"STRING", "NUMBER", "TRUE", "FALSE", "NULL", "LSQB", "LBRACE"}


def parse_native(text: str) -> Signature:
    """Compile a signature of the native syntax, in any line layout.

    Args:
        text: ``signature name: :type field, … -> :type field, …``

    Raises:
        WorkerError: ``syntax_error`` with the position.
    """
    signature = _parse(text, "signature")
    assert isinstance(signature, Signature)
    return signature


def parse_type(text: str) -> Type:
    """Compile a type of the native syntax.

    Raises:
        WorkerError: ``syntax_error`` with the position.

    >>> str(parse_type(":list(:string(max_length=80), unique=true)"))
    ':list(:string(max_length=80), unique=true)'
    """
    type_ = _parse(text, "type")
    assert isinstance(type_, Type)
    return type_


def _parse(text: str, start: str) -> Signature | Type:
    source = Source(text)
    _check_size(source)
    try:
        parsed: Any = _grammar().parse(text, start=start)
    except UnexpectedInput as error:
        raise _unexpected(source, error, start) from None
    except _Refused as error:
        raise source.error(str(error), line=error.line, column=error.column) from None
    found: Signature | Type = parsed
    return found


@cache
def _grammar() -> Lark:
    grammar = resources.files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    # The values are built as rules are recognised: no tree in between, and nothing that recurses.
    return Lark(grammar, start=["signature", "type"], parser="lalr", transformer=_Builder(), maybe_placeholders=True)


def _check_size(source: Source) -> None:
    text = source.text
    if len(text) > MAX_LENGTH:
        raise source.error(f"a signature of {len(text)} characters: the most is {MAX_LENGTH}", line=1, column=1)
    if sum(map(text.count, "([{")) <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.finditer(text):
        depth += 1 if bracket[0] in "([{" else -1 if bracket[0] in ")]}" else 0
        if depth > MAX_DEPTH:
            raise source.error_at(f"brackets are nested deeper than {MAX_DEPTH}", bracket.start())


def _unexpected(source: Source, error: UnexpectedInput, start: str) -> WorkerError:
    text = source.text
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        end = len(text.rstrip())
        return source.error_at(f"expected {_expected_after(text, start)}, but the text ends here", end)
    place = int(error.pos_in_stream or 0)
    if text[place] == '"' and not isinstance(error, UnexpectedToken):
        return source.error_at("the text in quotes that begins here does not end on its line", place)
    found = text[place:].split(maxsplit=1)[0]
    expected = _expected_after(text[:place], start)
    return source.error_at(f"expected {expected}, found {found!r}{_meant(text[:place], expected)}", place)


def _meant(before: str, expected: str) -> str:
    """What a bare word in brackets, which begins a constraint, may have been meant for."""
    word = _WORD.search(before)
    if word is None or expected != "'='" or word[0] in CONSTRAINTS:
        return ""
    return f"; did you mean :{word[0]}?" if word[0] in type_names() else f'; did you mean "{word[0]}", in quotes?'


def _expected_after(prefix: str, start: str) -> str:
    # What the error itself lists is the lexer's guess; the parser knows which of it can really follow.
    parser = _grammar().parse_interactive(prefix, start=start)
    parser.exhaust_lexer()
    accepted = set(parser.accepts())  # type: ignore[no-untyped-call] # lark leaves it without types
    words = {_WORDS[name] for name in accepted - _VALUES}
    if accepted >= _VALUES:
        words.add("a value")
    else:
        words |= {_WORDS[name] for name in accepted & _VALUES}
    return " or ".join(sorted(words))


class _Refused(Exception):
    """Something that reads and means nothing; where it stands."""

    def __init__(self, token: Token, message: str) -> None:
        super().__init__(message)
        assert token.line is not None
        assert token.column is not None
        self.line, self.column = token.line, token.column


class _Placed(NamedTuple):
    """A field and where its name stands."""

    field: Field
    token: Token


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Makes values of what the grammar recognises. Without state: threads share it."""

    def signature(
        self, name: Token, description: str | None, inputs: tuple[_Placed, ...], outputs: tuple[_Placed, ...]
    ) -> Signature:
        _unique((*inputs, *outputs))
        return Signature(
            name=str(name),
            inputs=tuple(each.field for each in inputs),
            outputs=tuple(each.field for each in outputs),
            description=description or "",
        )

    def fields(self, *fields: _Placed) -> tuple[_Placed, ...]:
        return fields

    def field(self, type_: Type, name: Token, default: _Default | None, description: str | None) -> _Placed:
        field = Field(
            name=str(name),
            type=type_,
            default=REQUIRED if default is None else default.value,
            description=description or "",
        )
        if objection := field.objection:
            raise _Refused(name, objection)
        return _Placed(field, name)

    def default(self, value: Any) -> _Default:
        return _Default(value)

    def type(self, token: Token, *inside: Any) -> Type:
        constraints = tuple(each for each in inside if isinstance(each, Constraint))
        placed = [each for each in inside if isinstance(each, _Placed)]
        _unique(placed)
        arguments = [
            each.field if isinstance(each, _Placed) else each for each in inside if not isinstance(each, Constraint)
        ]
        try:
            return build_type(token[1:].lstrip(), arguments, constraints)
        except ValueError as error:
            raise _Refused(token, str(error)) from None

    def constraint(self, name: Token, limit: Any) -> Constraint:
        try:
            return build_constraint(str(name), limit)
        except ValueError as error:
            raise _Refused(name, str(error)) from None

    def text(self, token: Token) -> str:
        try:
            text: str = json.loads(token)
        except json.JSONDecodeError as error:
            raise _Refused(token, f"the text in quotes does not read as JSON: {error.msg}") from None
        return text

    def number(self, token: Token) -> float:
        try:
            number: float = json.loads(token)
        except ValueError:  # a leading zero, or more digits than Python reads
            raise _Refused(token, f"{token[:20]} does not read as a JSON number") from None
        return number

    def true(self, _: Token) -> bool:
        return True

    def false(self, _: Token) -> bool:
        return False

    def null(self, _: Token) -> None:
        return None

    def list(self, *items: Any) -> list[Any]:
        return [*items]

    def map(self, *pairs: tuple[str, Any]) -> dict[str, Any]:
        return dict(pairs)

    def pair(self, key: str, value: Any) -> tuple[str, Any]:
        return key, value


class _Default(NamedTuple):
    """A default, which may be null."""

    value: Any


def _unique(fields: Iterable[_Placed]) -> None:
    seen: set[str] = set()
    for field, token in fields:
        if field.name in seen:
            raise _Refused(token, f"the field {field.name!r} is there already: a name stands once")
        seen.add(field.name)

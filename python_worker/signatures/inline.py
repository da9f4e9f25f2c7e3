"""DSPy's inline form: ``question: str, context: list[str] -> answer: float``."""

from __future__ import annotations

import ast
import difflib
from typing import TYPE_CHECKING, Any

from python_worker.domain.field import Field, is_name
from python_worker.domain.signature import Signature
from python_worker.domain.types import Type, build_type, type_names
from python_worker.signatures.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable

UNNAMED = "unnamed"
"""The name of a signature whose form has none."""

MAX_LENGTH = 65_536

# Python's names for the native types that take nothing in brackets.
_NAMES = {
    "str": "string",
    "int": "integer",
    "float": "float",
    "bool": "boolean",
    "dict": "map",
    "Any": "json",
    "object": "json",
    "datetime": "datetime",
    "datetime.datetime": "datetime",
    "date": "date",
    "datetime.date": "date",
    "dspy.Image": "image",
    "dspy.Audio": "audio",
    "dspy.File": "file",
    "Image": "image",
    "Audio": "audio",
    "File": "file",
}


def parse_inline(text: str) -> Signature:
    """Compile DSPy's inline form. A field without a type is a string; the signature's name is ``unnamed``.

    Args:
        text: Python's names for types, and the native ones without their colon.

    Raises:
        WorkerError: ``syntax_error`` with the position.

    >>> print(parse_inline("text -> sentiment: Literal['good', 'bad'], score: Optional[float]"))
    signature unnamed: :string text -> :literal("good", "bad") sentiment, :optional(:float) score
    """
    source = Source(text)
    if len(text) > MAX_LENGTH:
        raise source.error(f"a signature of {len(text)} characters: the most is {MAX_LENGTH}", line=1, column=1)
    inputs, arrow, outputs = text.partition("->")
    if not arrow:
        raise source.error_at("expected '->' between inputs and outputs, but the text ends here", len(text.rstrip()))
    if (more := outputs.find("->")) >= 0:
        raise source.error_at("expected ',' or the end, found '->'", len(inputs) + len(arrow) + more)
    seen: set[str] = set()
    return Signature(
        name=UNNAMED,
        inputs=_Fields(source, inputs, 0, seen).read(),
        outputs=_Fields(source, outputs, len(inputs) + len(arrow), seen).read(),
    )


class _Fields:
    """One side of the arrow.

    Args:
        source: The whole text.
        side: The side's part of it.
        offset: Where that begins.
        seen: The names so far.
    """

    # Read as the parameters of a function, as DSPy reads it: their annotations may be any expression.
    _BEFORE, _AFTER = "def f(\n", "\n): pass"

    def __init__(self, source: Source, side: str, offset: int, seen: set[str]) -> None:
        self._source, self._side, self._offset, self._seen = source, side, offset, seen

    def read(self) -> tuple[Field, ...]:
        try:
            tree = ast.parse(self._BEFORE + self._side + self._AFTER)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line, column = getattr(error, "lineno", None) or 1, getattr(error, "offset", None) or 1
            raise self._error(f"the fields do not read: {getattr(error, 'msg', error)}", line, column) from None
        function = tree.body[0]
        if not isinstance(function, ast.FunctionDef) or len(tree.body) > 1 or not _plain(function.args):
            raise self._error("fields are names with types, such as question: str", 2, 1)
        if not function.args.args:
            raise self._error(
                "expected a field, such as question: str", 2, len(self._side) - len(self._side.lstrip()) + 1
            )
        return tuple(map(self._field, function.args.args))

    def _field(self, argument: ast.arg) -> Field:
        if argument.arg in self._seen:
            message = f"the field {argument.arg!r} is there already: a name stands once"
            raise self._error(message, argument.lineno, self._column(argument))
        if not is_name(argument.arg):
            message = f"{argument.arg!r} cannot name a field: a letter, then letters, digits and underscores"
            raise self._error(message, argument.lineno, self._column(argument))
        self._seen.add(argument.arg)
        type_ = build_type("string") if argument.annotation is None else self._type(argument.annotation)
        return Field(name=argument.arg, type=type_)

    def _type(self, node: ast.expr) -> Type:
        try:
            return self._read(node)
        except ValueError as error:
            raise self._error(str(error), node.lineno, self._column(node)) from None

    def _read(self, node: ast.expr) -> Type:
        match node:
            case ast.Name() | ast.Attribute():
                return _named(ast.unparse(node))
            case ast.Subscript(value=ast.Name() | ast.Attribute() as origin, slice=inside):
                items = inside.elts if isinstance(inside, ast.Tuple) else [inside]
                return self._generic(ast.unparse(origin).rpartition(".")[2], items, node)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._union([left, right], node)
            case _:
                raise ValueError(f"{ast.unparse(node)!r} is no type")

    def _generic(self, origin: str, items: list[ast.expr], node: ast.expr) -> Type:
        endless = (
            origin in {"tuple", "Tuple"}
            and len(items) == 2
            and isinstance(items[1], ast.Constant)
            and items[1].value is Ellipsis
        )
        items = items[:1] if endless else items
        builders: dict[str, Callable[[], Type]] = {
            "list": lambda: build_type("list", [self._type(each) for each in items]),
            "tuple": lambda: build_type("list" if endless else "tuple", [self._type(each) for each in items]),
            "dict": lambda: build_type("map"),
            "Optional": lambda: build_type("optional", [self._type(each) for each in items]),
            "Union": lambda: self._union(items, node),
            "Literal": lambda: build_type("literal", [_constant(each) for each in items]),
        }
        name = {"List": "list", "Tuple": "tuple", "Dict": "dict"}.get(origin, origin)
        if name not in builders:
            raise ValueError(f"no type {origin}[…]; there are {'[…], '.join(builders)}[…]")
        return builders[name]()

    def _union(self, items: list[ast.expr], node: ast.expr) -> Type:
        values = [each for each in items if not (isinstance(each, ast.Constant) and each.value is None)]
        if len(items) != 2 or len(values) != 1:
            raise ValueError(f"{ast.unparse(node)!r}: of unions, only one type or None is taken")
        return build_type("optional", [self._type(values[0])])

    def _column(self, node: ast.expr | ast.arg) -> int:
        # ast counts bytes of UTF-8.
        line = (self._BEFORE + self._side).split("\n")[node.lineno - 1]
        return len(line.encode()[: node.col_offset].decode(errors="ignore")) + 1

    def _error(self, message: str, line: int, column: int) -> Exception:
        lines = self._side.split("\n")
        row = min(max(line - 2, 0), len(lines) - 1)
        column = min(column, len(lines[row]) + 1)
        return self._source.error_at(message, self._offset + sum(len(each) + 1 for each in lines[:row]) + column - 1)


def _plain(arguments: ast.arguments) -> bool:
    others = (arguments.posonlyargs, arguments.kwonlyargs, arguments.defaults)
    return not any(others) and arguments.vararg is None and arguments.kwarg is None


def _named(name: str) -> Type:
    native = _NAMES.get(name, name)
    if name in {"list", "List"}:
        return build_type("list", [build_type("json")])
    if native not in type_names():
        close = difflib.get_close_matches(name, [*_NAMES, *type_names()], n=1, cutoff=0.5)
        known = "str, int, float, bool, dict, list[…], Literal[…], Optional[…] and the native names without their colon"
        raise ValueError(f"no type {name!r}; " + (f"did you mean {close[0]}?" if close else f"there are {known}"))
    return build_type(native)


def _constant(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"Literal[…] holds values, and {ast.unparse(node)!r} is none") from None

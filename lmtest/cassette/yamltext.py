"""Cassette text: values to YAML that a person reviews, and back.

Writing is our own because emitters quote a prompt as soon as one of its lines ends in a space, as DSPy's do; reading is
PyYAML's C parser, restricted to what JSON can say. The YAML written is plain YAML 1.1 and 1.2: any reader gets the same
values.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.resolver import BaseResolver

from lmtest.errors import CassetteFormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Written as one JSON line: nobody reviews them, and a block of each would bury what people do review.
_ON_ONE_LINE = frozenset({"provider_data", "event", "continuation", "logprobs"})

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.$/-]{0,120}\Z")
_PLAIN_TEXT = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_ ./+@,()'-]*[A-Za-z0-9_./+@,()'-])?\Z")
# What some YAML reader takes for something else than a string.
_NOT_TEXT = re.compile(r"(?i:y|n|yes|no|on|off|true|false|null|nan|inf)\Z")
# Only writers need these two, and they take milliseconds to compile: `re` does it, and keeps it, at their first use.
_NEEDS_QUOTES = "[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
_UNPRINTABLE = "[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]"
_LONGEST_SIMPLE_KEY = 1000  # libyaml's own limit is 1,024


def dump(value: dict[str, Any]) -> str:
    r"""Write a JSON object as a YAML document.

    Args:
        value: What JSON can say; text may hold anything but lone surrogates.

    Returns:
        Lines, the last one ended.

    >>> print(dump({"text": "two\nlines", "count": 1, "ok": "yes"}), end="")
    text: |-
      two
      lines
    count: 1
    ok: "yes"
    """
    return "".join(_mapping(value, ""))


def load(text: str, *, path: Path | None = None, line: int = 1) -> dict[str, Any]:
    """Read one YAML document written by :func:`dump`, or edited by hand since.

    Args:
        text: The document.
        path: The file it is from, for messages.
        line: The line of the file on which it starts.

    Raises:
        CassetteFormatError: It is no YAML, or says what JSON cannot: a tag, an alias, a key twice.

    >>> load("a: [1, 2.5, 'x', null]")
    {'a': [1, 2.5, 'x', None]}
    """
    value = load_any(text, path=path, line=line)
    if not isinstance(value, dict):
        raise _format_error("a mapping was expected here", path, line)
    return value


def load_any(text: str, *, path: Path | None = None, line: int = 1) -> Any:
    """Do what :func:`load` does, whatever the document is: None where there is nothing in it."""
    try:
        _refuse_depth(text)
        _refuse_tags(text)
        node = yaml.compose(text, Loader=_JSON_LOADER)
        return _construct(node, set()) if node is not None else None
    except _Refused as refused:
        raise _format_error(str(refused), path, line + refused.line) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise _format_error(f"this is not YAML: {problem}", path, line + (mark.line if mark else 0)) from None
    except RecursionError:
        raise _format_error("values nest too deeply to be a recording", path, line) from None


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _mapping(value: dict[str, Any], indent: str) -> Iterator[str]:
    for key, item in value.items():
        yield f"{indent}{_key(key, indent)}"
        yield from _item(item, indent, one_line=key in _ON_ONE_LINE)


def _item(item: Any, indent: str, *, one_line: bool = False) -> Iterator[str]:
    """What stands behind ``key:`` or ``-``, to the end of its last line."""
    if one_line and isinstance(item, (dict, list)):
        yield f" {_flow(item)}\n"
    elif isinstance(item, dict) and item:
        yield "\n"
        yield from _mapping(item, indent + "  ")
    elif isinstance(item, (list, tuple)) and item:
        yield "\n"
        yield from _sequence(item, indent + "  ")
    else:
        yield f" {_scalar(item, indent + '  ')}\n"


def _sequence(items: list[Any] | tuple[Any, ...], indent: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, dict) and item:
            # The first key stands on the dash's own line.
            lines = "".join(_mapping(item, indent + "  "))
            yield f"{indent}- {lines[len(indent) + 2 :]}"
        else:
            yield f"{indent}-"
            yield from _item(item, indent)


def _key(key: str, indent: str) -> str:
    if _PLAIN_KEY.match(key) and not _NOT_TEXT.match(key):
        return f"{key}:"
    quoted = _flow(key)
    return f"{quoted}:" if len(quoted) < _LONGEST_SIMPLE_KEY else f"? {quoted}\n{indent}:"


def _scalar(item: Any, indent: str) -> str:
    if not isinstance(item, str):
        return _flow(item)
    if _PLAIN_TEXT.match(item) and len(item) <= 100 and not _NOT_TEXT.match(item):
        return item
    reads_better = "\n" in item.strip("\n") or '"' in item or "\\" in item or len(item) > 100
    return _literal(item, indent) if reads_better and not re.search(_NEEDS_QUOTES, item) else _flow(item)


def _literal(text: str, indent: str) -> str:
    body = text.rstrip("\n")
    if not body:
        return _flow(text)
    ends = len(text) - len(body)
    chomp = "-" if ends == 0 else "" if ends == 1 else "+"
    # Without the indicator a reader would take leading space for indentation.
    indicator = "2" if body[0] in " \n\t" else ""
    lines = [f"{indent}{line}" if line else "" for line in body.split("\n")] + [""] * max(0, ends - 1)
    return f"|{indicator}{chomp}\n" + "\n".join(lines)


def _flow(value: Any) -> str:
    """One line of JSON, which is YAML too; floats with a point, for readers of YAML 1.1."""
    if isinstance(value, float) and not isinstance(value, bool):
        return _float(value)
    if isinstance(value, (dict, list, tuple)) and _has_float(value):
        return _flow_with_floats(value)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text if text.isascii() and "\x7f" not in text else re.sub(_UNPRINTABLE, _escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _flow_with_floats(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    return "[" + ", ".join(_flow(item) for item in value) + "]"


def _has_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_float, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_has_float, value))
    return isinstance(value, float)


def _float(value: float) -> str:
    text = json.dumps(value, allow_nan=False)
    mantissa, e, exponent = text.partition("e")
    if not e:
        return text
    sign = exponent if exponent[0] in "+-" else f"+{exponent}"
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{sign}"


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class _JsonLoader(CParser, BaseResolver):
    """YAML's grammar with JSON's values: ``yes``, ``1:30`` and dates are text."""

    def __init__(self, stream: str) -> None:
        CParser.__init__(self, stream)
        BaseResolver.__init__(self)


# What PyYAML's types want is one of its own loaders; what its functions want is a parser.
_JSON_LOADER: Any = _JsonLoader

_TAG = "tag:yaml.org,2002:"
for _name, _pattern, _first in (
    ("bool", r"(?:true|false)\Z", "tf"),
    ("null", r"(?:null|~|)\Z", ["n", "~", ""]),
    ("int", r"-?(?:0|[1-9][0-9]*)\Z", "-0123456789"),
    ("float", r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z", "-0123456789"),
):
    _JsonLoader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), list(_first))

_READ_SCALAR: dict[str, Callable[[str], Any]] = {
    _TAG + "str": str,
    _TAG + "bool": "true".__eq__,
    _TAG + "null": lambda _: None,
    _TAG + "int": int,
    _TAG + "float": float,
}


# PyYAML composes by recursion in C: some ten thousand levels end the process, not the call.
_DEEPEST = 200
_OPENERS = ("[", "{", "- ", "? ", ": ")


def _refuse_depth(text: str) -> None:
    if sum(map(text.count, _OPENERS)) < 5_000:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_JSON_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise RecursionError


# Where a tag may begin; most of what stands so is the end of a sentence in a prompt.
_MAY_BE_TAG = re.compile(r"(?:^|[\s\[{,:])!", re.MULTILINE)


_NO_TAG = "the tag {!r} is refused: a cassette holds plain data only"


def _refuse_tags(text: str) -> None:
    """Refuse every tag; one that says what a value is anyway, such as ``!!str``, leaves no trace in a node."""
    if not _MAY_BE_TAG.search(text):
        return
    for event in yaml.parse(text, Loader=_JSON_LOADER):
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _Refused(_NO_TAG.format(tag), event)


class _Refused(Exception):
    def __init__(self, message: str, place: yaml.Node | yaml.Event) -> None:
        super().__init__(message)
        mark: Any = place.start_mark
        self.line = mark.line


def _construct(node: yaml.Node, seen: set[int]) -> Any:
    # An alias is the same node met again; expanding them is how a small file fills the memory.
    if id(node) in seen:
        raise _Refused("an alias (*name) is refused: a cassette never needs one", node)
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        read = _READ_SCALAR.get(node.tag)
        if read is None:
            raise _Refused(_NO_TAG.format(node.tag), node)
        return read(node.value)
    if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
        return [_construct(item, seen) for item in node.value]
    if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
        return _construct_mapping(node, seen)
    raise _Refused(_NO_TAG.format(node.tag), node)


def _construct_mapping(node: yaml.MappingNode, seen: set[int]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key_node, item in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _Refused("a key must be text", key_node)
        if key_node.value in value:
            raise _Refused(f"the key {key_node.value!r} stands twice", key_node)
        value[key_node.value] = _construct(item, seen)
    return value


def _format_error(problem: str, path: Path | None, line: int) -> CassetteFormatError:
    where = f"{path}:{line}" if path else f"line {line}"
    return CassetteFormatError(
        f"{where}: {problem}. Mend it by hand, restore it from version control, or record it again with "
        "LM_MODE=record.",
        path=path,
        line=line,
    )

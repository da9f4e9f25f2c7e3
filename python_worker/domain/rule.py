"""Rules over the fields of an execution, in a small declarative form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.nearest import did_you_mean
from python_worker.domain.pattern import searcher
from python_worker.domain.value import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from python_worker.domain.value import Fields, Value

_DEEPEST: Final = 8


@dataclass(frozen=True, kw_only=True)
class _Check:
    says: str
    holds: Callable[[Any, Any], bool]
    takes: type | tuple[type, ...] = object


def _found(pattern: str, text: Any) -> bool:
    return isinstance(text, str) and searcher(pattern)(text) is not None


_CHECKS: Final[Mapping[str, _Check]] = {
    "min_words": _Check(says="must have at least {} words", holds=lambda v, n: len(v.split()) >= n, takes=int),
    "max_words": _Check(says="must have at most {} words", holds=lambda v, n: len(v.split()) <= n, takes=int),
    "min_length": _Check(says="must be at least {} long", holds=lambda v, n: len(v) >= n, takes=int),
    "max_length": _Check(says="must be at most {} long", holds=lambda v, n: len(v) <= n, takes=int),
    "at_least": _Check(says="must be at least {}", holds=lambda v, n: bool(v >= n)),
    "at_most": _Check(says="must be at most {}", holds=lambda v, n: bool(v <= n)),
    "more_than": _Check(says="must be more than {}", holds=lambda v, n: bool(v > n)),
    "less_than": _Check(says="must be less than {}", holds=lambda v, n: bool(v < n)),
    "equals": _Check(says="must be {}", holds=lambda v, n: bool(v == n)),
    "not_equals": _Check(says="must not be {}", holds=lambda v, n: bool(v != n)),
    "one_of": _Check(says="must be one of {}", holds=lambda v, n: v in n, takes=list),
    "contains": _Check(says="must contain {}", holds=lambda v, n: n in v),
    "in": _Check(says="must stand in {}", holds=lambda v, n: v in n),
    "matches": _Check(says="must match {}", holds=lambda v, n: _found(n, v), takes=str),
    "filled": _Check(says="must be filled: {}", holds=lambda v, n: (v not in (None, "", [], {})) is n, takes=bool),
}
_GROUPS: Final = ("all", "any", "not", "if")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule, read by :func:`read_rules`.

    Attributes:
        fields: Those it is about.
    """

    fields: frozenset[str]
    _problems: Callable[[Fields], list[str]]

    def problems(self, values: Fields) -> list[str]:
        """What is wrong with values, each in a sentence; nothing where they hold."""
        return self._problems(values)


def read_rules(data: Value, *, where: str = "rules") -> tuple[Rule, ...]:
    """Read rules from their JSON form.

    Args:
        data: A list of objects: ``{"field": "answer", "min_words": 3}`` with one check or several, whose bound may be
            another field, ``{"field": "end", "more_than": {"field": "start"}}``; ``{"if": rule, "then": rule}``, with
            ``else`` where wanted; ``{"all": [rule, …]}``, ``{"any": [rule, …]}``, ``{"not": rule}``. Each may have
            a ``message`` to tell instead.
        where: What the list is called, for messages.

    Raises:
        WorkerError: ``invalid_argument``: it is no such form; the field says where.

    >>> [rule] = read_rules([{"if": {"field": "kind", "equals": "essay"}, "then": {"field": "text", "min_words": 3}}])
    >>> sorted(rule.fields), rule.problems({"kind": "essay", "text": "Too short"})
    (['kind', 'text'], ['text must have at least 3 words'])
    """
    if not isinstance(data, list):
        raise _refused("must be a list of rules", where)
    return tuple(_read(each, f"{where}[{index}]", 0) for index, each in enumerate(data))


def _read(data: Value, where: str, depth: int) -> Rule:
    if not isinstance(data, dict) or depth > _DEEPEST:
        raise _refused("must be an object" if depth <= _DEEPEST else "nests too deeply", where)
    kinds = [name for name in ("field", *_GROUPS) if name in data]
    if len(kinds) != 1:
        hints = (did_you_mean(name, ("field", *_GROUPS)) for name in sorted(data.keys() - _CHECKS.keys()))
        hint = "" if kinds else next(filter(None, hints), "")
        raise _refused("must have exactly one of 'field', 'all', 'any', 'not' and 'if'", where, hint)
    [kind] = kinds
    rule = _check(data, where) if kind == "field" else _group(kind, data, where, depth)
    message = data.get("message")
    if message is None:
        return rule
    told = str(message)
    return Rule(fields=rule.fields, _problems=lambda values: [told] if rule.problems(values) else [])


def _group(kind: str, data: dict[str, Value], where: str, depth: int) -> Rule:
    _only(data, {"if": {"if", "then", "else"}}.get(kind, {kind}) | {"message"}, where)
    if kind == "not":
        inner = _read(data["not"], f"{where}.not", depth + 1)
        told = f"must not hold: {excerpt(data['not'])}"
        return Rule(fields=inner.fields, _problems=lambda values: [] if inner.problems(values) else [told])
    if kind == "if":
        return _conditional(data, where, depth)
    listed = data[kind]
    if not isinstance(listed, list) or not listed:
        raise _refused("must be a list of rules", f"{where}.{kind}")
    rules = [_read(each, f"{where}.{kind}[{index}]", depth + 1) for index, each in enumerate(listed)]
    fields = frozenset[str]().union(*(rule.fields for rule in rules))

    def every(values: Fields) -> list[str]:
        return [problem for rule in rules for problem in rule.problems(values)]

    def some(values: Fields) -> list[str]:
        found = [rule.problems(values) for rule in rules]
        return [] if not all(found) else ["; or ".join(" and ".join(each) for each in found)]

    return Rule(fields=fields, _problems=every if kind == "all" else some)


def _conditional(data: dict[str, Value], where: str, depth: int) -> Rule:
    if "then" not in data:
        raise _refused("must have 'then' beside 'if'", where)
    condition = _read(data["if"], f"{where}.if", depth + 1)
    then = _read(data["then"], f"{where}.then", depth + 1)
    other = _read(data["else"], f"{where}.else", depth + 1) if "else" in data else None

    def problems(values: Fields) -> list[str]:
        if not condition.problems(values):
            return then.problems(values)
        return other.problems(values) if other else []

    return Rule(fields=condition.fields | then.fields | (other.fields if other else frozenset()), _problems=problems)


def _check(data: dict[str, Value], where: str) -> Rule:
    _only(data, {"field", "message", *_CHECKS}, where)
    name, wanted = data["field"], [check for check in _CHECKS if check in data]
    if not isinstance(name, str) or not wanted:
        raise _refused(f"must name a field and at least one check of {', '.join(_CHECKS)}", where)
    others = set()
    for check in wanted:
        other = _other_field(data[check])
        if other:
            others.add(other)
        else:
            _check_bound(check, data[check], f"{where}.{check}")

    def problems(values: Fields) -> Iterator[str]:
        for check in wanted:
            other = _other_field(data[check])
            bound = values.get(other) if other else data[check]
            if not _holds(_CHECKS[check], values.get(name), bound):
                told = f"{other} ({excerpt(bound)})" if other else excerpt(bound)
                yield f"{name} {_CHECKS[check].says.format(told)}"

    return Rule(fields=frozenset({name} | others), _problems=lambda values: list(problems(values)))


def _check_bound(check: str, bound: Value, where: str) -> None:
    takes = _CHECKS[check].takes
    if not isinstance(bound, takes) or (isinstance(bound, bool) and takes is int):
        raise _refused(f"must be of type {getattr(takes, '__name__', 'value')}, not {excerpt(bound)}", where)
    if check == "matches":
        try:
            searcher(str(bound))
        except ValueError as error:
            raise _refused(f"is no pattern: {error}", where) from error


def _holds(check: _Check, value: Value, bound: Value) -> bool:
    try:
        return check.holds(value, bound)
    except (TypeError, AttributeError, ValueError):
        return False  # a value that the check does not fit, or that is missing


def _other_field(bound: Value) -> str:
    if isinstance(bound, dict) and bound.keys() == {"field"}:
        return str(bound["field"])
    return ""


def _only(data: dict[str, Value], known: set[str], where: str) -> None:
    unknown = sorted(data.keys() - known)
    if unknown:
        told = f"has {unknown[0]!r}, which it does not know (known: {', '.join(sorted(known))})"
        raise _refused(told, where, did_you_mean(unknown[0], known))


def _refused(what: str, where: str, hint: str = "") -> WorkerError:
    return WorkerError(f"complex_validation: {where} {what}.{hint}", reason=Reason.INVALID_ARGUMENT, field=where)

"""The limits a user sets on live calls."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from lmtest import variables
from lmtest.clock import utc_now
from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

Usd = Decimal | float | str
"""An amount as people write it; ``1.10`` means one dollar ten exactly, whichever way it is written."""

_NONE: Final = "none"
_LIFTED: Final = math.inf
_LIFTED_USD: Final = Decimal("Infinity")
"""What a limit is that is lifted: more than anything."""

_FORM: Final = "write NAME=VALUE, such as requests_per_minute=10, or MODEL:NAME=VALUE for one model"


@dataclass(frozen=True, init=False)
class Limits:
    """What live calls may use up. None is not set; ``"none"`` is no limit, whatever is set elsewhere or by default.

    Attributes:
        requests_per_minute: Calls in any minute, evenly spaced.
        tokens_per_minute: Tokens, sent and received together, in a minute.
        max_concurrency: Calls under way at once, over all processes.
        usd_per_run: USD of one run: a pytest session, or a worker's life. 0 is ``"none"``, here and below: what may
            spend nothing is replayed.
        usd_per_month: USD of a calendar month, UTC.
        usd_per_test: USD of one test in one run.
        max_wait: Seconds a call may wait for its turn or a place before it is refused, 60 where nobody says;
            ``"none"`` waits as long as it takes.
        by_model: Further limits of single models, which hold beside those of all; a model is named as DSPy names it,
            or without its provider.

    Raises:
        ConfigurationError: A limit is negative, not finite or no number, or a count is 0.

    >>> Limits(requests_per_minute=10, usd_per_run=1.10).usd_per_run
    Decimal('1.1')
    >>> Limits(usd_per_run=5, by_model={"openai/gpt-5": Limits(usd_per_run=1)}).by_model["openai/gpt-5"].usd_per_run
    Decimal('1')
    """

    requests_per_minute: float | None
    tokens_per_minute: float | None
    max_concurrency: float | None
    usd_per_run: Decimal | None
    usd_per_month: Decimal | None
    usd_per_test: Decimal | None
    max_wait: float | None
    by_model: Mapping[str, Limits] = field(hash=False)

    def __init__(
        self,
        *,
        requests_per_minute: float | str | None = None,
        tokens_per_minute: float | str | None = None,
        max_concurrency: float | str | None = None,
        usd_per_run: Usd | None = None,
        usd_per_month: Usd | None = None,
        usd_per_test: Usd | None = None,
        max_wait: float | str | None = None,
        by_model: Mapping[str, Limits] = MappingProxyType({}),
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in {"self", "by_model"}}
        for name, value in given.items():
            read = _amount if name.startswith("usd_") else _seconds if name == "max_wait" else _count
            object.__setattr__(self, name, None if value is None else read(name, value))
        object.__setattr__(self, "by_model", MappingProxyType(dict(_models(by_model))))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "by_model": dict(self.by_model)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, by_model=MappingProxyType(state["by_model"]))

    @classmethod
    def of(cls, given: Limits | Mapping[str, Any] | None, *, source: str) -> Limits:
        """The limits that a caller gave, as such or by name; see `from_mapping`."""
        if given is None:
            return NO_LIMITS
        if isinstance(given, Limits):
            return given
        if not isinstance(given, Mapping):
            raise ConfigurationError(
                f"{source} is {given!r}; give lmtest.Limits, or names of limits with their values."
            )
        return cls.from_mapping(given, source=source)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], *, source: str) -> Limits:
        """Read limits by name, numbers as numbers or as text; a table under a model's name holds that model.

        Args:
            data: Names and values, such as a table of pyproject.toml.
            source: Who gave them, for the message.

        Raises:
            ConfigurationError: A name is no limit, the message has the nearest that is; or a value is none.

        >>> Limits.from_mapping({"usd_per_month": "10"}, source="pyproject.toml").usd_per_month
        Decimal('10')
        """
        tables = {name: value for name, value in data.items() if isinstance(value, Mapping | Limits)}
        plain = {name: value for name, value in data.items() if name not in tables}
        known = _names()
        for name in plain:
            if name not in known:
                nearest = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
                raise ConfigurationError(f"{source} has {name!r}, which is no limit.{hint} Known: {', '.join(known)}.")
        by_model = {model: cls.of(table, source=f"{source}, {model!r}") for model, table in tables.items()}
        try:
            return cls(**plain, by_model=by_model)
        except ConfigurationError as error:
            raise ConfigurationError(f"{source}: {error}") from None

    @classmethod
    def parse(cls, texts: Iterable[str], *, source: str) -> Limits:
        """Read limits as a command line gives them: ``NAME=VALUE``, or ``MODEL:NAME=VALUE``; the last of a name holds.

        Args:
            texts: One limit each.
            source: The flag that gave them, for the message.

        Raises:
            ConfigurationError: A text is of neither form, a name is no limit, or a value is none.

        >>> Limits.parse(["max_concurrency=2", "openai/gpt-5:usd_per_run=0.5"], source="--limit")
        Limits(max_concurrency=2, by_model={'openai/gpt-5': Limits(usd_per_run=Decimal('0.5'))})
        """
        plain: dict[str, str] = {}
        tables: dict[str, dict[str, str]] = {}
        for text in texts:
            left, equals, value = text.rpartition("=")
            model, _, name = left.rpartition(":")
            if not equals or not name.strip() or not value.strip():
                raise ConfigurationError(f"{source} {text!r} is no limit: {_FORM}. Known: {', '.join(_names())}.")
            (tables.setdefault(model.strip(), {}) if model else plain)[name.strip()] = value.strip()
        return cls.from_mapping({**tables, **plain}, source=source)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Limits:
        """Read ``LMTEST_REQUESTS_PER_MINUTE``, ``LMTEST_USD_PER_RUN`` and so on, and by model ``LMTEST_LIMITS``.

        An empty variable is not set.

        Raises:
            ConfigurationError: A value is no number.

        >>> Limits.from_environ({"LMTEST_USD_PER_RUN": "0.05"}).usd_per_run
        Decimal('0.05')
        """
        limits = cls.parse(environ.get(variables.LIMITS, "").split(), source=variables.LIMITS)
        for name in _names():
            if value := environ.get(variable_of(name)):
                limits = cls.from_mapping({name: value}, source=variable_of(name)).or_else(limits)
        return limits

    def over(self, environ: Mapping[str, str], *, flag: str) -> dict[str, str]:
        """Say these limits as variables that go before an environment's own, as a flag's must.

        Args:
            environ: The environment.
            flag: The flag that gave them, with its command: what an error tells whoever is to raise a limit.

        >>> environ = {"LMTEST_USD_PER_RUN": "5", "LMTEST_MAX_WAIT": "2"}
        >>> said = Limits(usd_per_run="0.10").over(environ, flag="serve --limit")
        >>> said["LMTEST_USD_PER_RUN"], said["LMTEST_MAX_WAIT"], said["LMTEST_LIMIT_FLAG"]
        ('0.10', '2.0', 'serve --limit')
        """
        limits = self.or_else(Limits.from_environ(environ))
        said = {variables.LIMIT_FLAG: flag} | {variable_of(name): _text(value) for name, value in _given(limits)}
        of_models = Limits(by_model=limits.by_model).texts()
        return said | ({variables.LIMITS: " ".join(of_models)} if of_models else {})

    def texts(self) -> list[str]:
        """These limits as `parse` reads them.

        >>> Limits(usd_per_run=0, by_model={"a/b": Limits(max_concurrency=2)}).texts()
        ['usd_per_run=none', 'a/b:max_concurrency=2']
        """
        whose = [("", self), *((f"{model}:", its) for model, its in self.by_model.items())]
        return [f"{model}{name}={_text(value)}" for model, its in whose for name, value in _given(its)]

    def held(self, name: str) -> Any:
        """What a limit is; None where it is not set, or lifted.

        >>> Limits(usd_per_run="none").held("usd_per_run"), Limits(usd_per_run=5).held("usd_per_run")
        (None, Decimal('5'))
        """
        value = getattr(self, name)
        return None if _is_lifted(value) else value

    def or_else(self, other: Limits) -> Limits:
        """These limits, and the other's where there is none here.

        >>> Limits(usd_per_run=1).or_else(Limits(usd_per_run=5, max_concurrency=2))
        Limits(max_concurrency=2, usd_per_run=Decimal('1'))
        """
        models = {model: _own(self, model).or_else(_own(other, model)) for model in {**other.by_model, **self.by_model}}
        return replace(other, **dict(_given(self)), by_model=models)

    def without(self, names: Collection[str]) -> Limits:
        """These limits but for some of those of all models.

        >>> Limits(usd_per_run=1, max_concurrency=2).without(["usd_per_run"])
        Limits(max_concurrency=2)
        """
        kept = {name: value for name, value in _given(self) if name not in names}
        return Limits(**kept, by_model=self.by_model)

    def tightened(self, other: Limits) -> Limits:
        """The smaller of the two, limit by limit; one that only one of them has is it.

        >>> Limits(usd_per_run=1, max_concurrency=4).tightened(Limits(usd_per_run=5, max_concurrency=2))
        Limits(max_concurrency=2, usd_per_run=Decimal('1'))
        """
        ours, theirs = dict(_given(self)), dict(_given(other))
        smaller = {name: min(ours[name], theirs[name]) for name in ours.keys() & theirs.keys()}
        models = {
            model: _own(self, model).tightened(_own(other, model)) for model in {**other.by_model, **self.by_model}
        }
        return Limits(**{**ours, **theirs, **smaller}, by_model=models)

    def holding(self, model: str) -> Iterator[tuple[str, Limits]]:
        """The limits that hold a call to a model: those of all models, under no name, and those that name it.

        >>> limits = Limits(usd_per_run=1, by_model={"gpt-5": Limits(usd_per_run=0.5)})
        >>> [name for name, _ in limits.holding("azure/gpt-5")]
        ['', 'gpt-5']
        """
        yield "", self
        for name in dict.fromkeys((bare(model), model)):
            if name in self.by_model:
                yield name, self.by_model[name]

    def doubts(self, expected: str) -> Iterator[str]:
        """Say which models with limits of their own no price list knows: a mistyped name holds nothing.

        Args:
            expected: The model that is asked where none is named.

        >>> limits = Limits(by_model={"openai/gpt-5": Limits(usd_per_run=1), "openai/gtp-5": Limits(usd_per_run=1)})
        >>> list(limits.doubts("openai/gpt-5"))
        ["limits name 'openai/gtp-5', of no known price; did you mean 'openai/gpt-5'?"]
        """
        from lmtest.money.prices import worst_case  # late: few runs hold single models

        for model in self.by_model:
            if worst_case(model, 1, 1, utc_now()) is None:
                near = difflib.get_close_matches(model, [expected, expected.partition("/")[2]], n=1, cutoff=0.8)
                hint = f"; did you mean {near[0]!r}?" if near else "; name its price in LMTEST_PRICES if there is one"
                yield f"limits name {model!r}, of no known price{hint}"

    @property
    def named(self) -> frozenset[str]:
        """The limits of all models that are set, lifted ones among them."""
        return frozenset(name for name, _ in _given(self))

    @property
    def in_usd(self) -> bool:
        """Whether any of them is an amount of money."""
        return any(name.startswith("usd_") and not _is_lifted(value) for name, value in _given(self))

    def __bool__(self) -> bool:
        """Whether anything is limited."""
        mine = any(name != "max_wait" and not _is_lifted(value) for name, value in _given(self))
        return mine or any(self.by_model.values())

    def __repr__(self) -> str:
        models = [("by_model", dict(self.by_model))] if self.by_model else []
        return f"Limits({', '.join(f'{name}={_shown(value)}' for name, value in [*_given(self), *models])})"


def bare(model: str) -> str:
    """A model's name without its provider, by which a limit names it at any provider.

    >>> bare("openai/gpt-5"), bare("gpt-5")
    ('gpt-5', 'gpt-5')
    """
    return model.partition("/")[2] or model


def variable_of(name: str) -> str:
    """The environment's variable for a limit of all models.

    >>> variable_of("usd_per_run")
    'LMTEST_USD_PER_RUN'
    """
    return f"{variables.PREFIX}{name.upper()}"


def _names() -> list[str]:
    return [each.name for each in fields(Limits) if each.name != "by_model"]


def _given(limits: Limits) -> list[tuple[str, Any]]:
    return [(name, value) for name in _names() if (value := getattr(limits, name)) is not None]


def _own(limits: Limits, model: str) -> Limits:
    return limits.by_model.get(model, Limits())


def _is_lifted(value: object) -> bool:
    return isinstance(value, float | Decimal) and value == math.inf


def _shown(value: object) -> str:
    return repr(_NONE if _is_lifted(value) else value)


def _text(value: float | Decimal) -> str:
    if _is_lifted(value):
        return _NONE
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _models(given: Mapping[str, Limits]) -> Iterator[tuple[str, Limits]]:
    for model, limits in given.items():
        if model.split() != [model]:
            raise ConfigurationError(f"{model!r} names no model; give its name as DSPy knows it: provider/model.")
        own = Limits.of(limits, source=f"by_model[{model!r}]")
        if own.by_model:
            raise ConfigurationError(f"the limits of {model!r} hold limits of {', '.join(own.by_model)} in turn.")
        yield model, own


def _count(name: str, value: float | str) -> float:
    if _lifts(value):
        return _LIFTED
    try:
        count = int(value)
    except (TypeError, ValueError, OverflowError):
        count = 0
    if count < 1 or isinstance(value, bool) or (isinstance(value, float) and value != count):
        raise ConfigurationError(f"{name} is {value!r}; give a whole number from 1 up, or 'none' for no limit.")
    return count


def _seconds(name: str, value: float | str) -> float:
    if _lifts(value):
        return _LIFTED
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0 or isinstance(value, bool):
        raise ConfigurationError(f"{name} is {value!r}; give seconds from 0 up, or 'none' to wait.")
    return seconds


def _lifts(given: object) -> bool:
    """Whether what somebody gave lifts a limit: the word, or what another's limit holds; no other infinity does."""
    return given is _LIFTED or given is _LIFTED_USD or (isinstance(given, str) and given.strip().lower() == _NONE)


def _amount(name: str, value: Usd) -> Decimal:
    if _lifts(value):
        return _LIFTED_USD
    try:
        usd = Decimal(str(value))
    except InvalidOperation:
        usd = Decimal("NaN")
    if not usd.is_finite() or usd < 0 or isinstance(value, bool):
        raise ConfigurationError(f"{name} is {value!r}; give USD such as 1.50, or 'none' for no limit.")
    return usd or _LIFTED_USD


MAX_WAIT: Final = 60.0
"""Seconds a call may wait where nobody says how long."""

NO_LIMITS: Final = Limits()
"""What holds where nobody sets any."""

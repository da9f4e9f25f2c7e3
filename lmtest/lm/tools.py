"""``lmtest.tool``: the calls of a tool recorded beside those of the models that ask for it."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import math
import typing
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import dspy
import pydantic
from pydantic_core import PydanticSerializationError, to_jsonable_python

from lmtest import clock
from lmtest.cassette.cassette import LIVE, MOCKED, PLAYED, Call
from lmtest.cassette.halves import mended
from lmtest.cassette.interaction import Interaction, Raised, Result, Usage
from lmtest.errors import CassetteFormatError, CassetteMiss, CassetteNotFound, ConfigurationError
from lmtest.lm.raised import rebuilt, taken_down
from lmtest.lm.scope import claim
from lmtest.modes import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lmtest.cassette.cassette import Hit
    from lmtest.cassette.interaction import Json, ToolOutcome
    from lmtest.lm.scope import Scope

_LOG = logging.getLogger(__name__)
_F = TypeVar("_F")
_LONGEST_TOPIC: Final = 60


@overload
def tool(function: _F, /, *, name: str | None = None, mock: Callable[..., Any] | None = None) -> _F: ...


@overload
def tool(*, name: str | None = None, mock: Callable[..., Any] | None = None) -> Callable[[_F], _F]: ...


def tool(function: Any = None, /, *, name: str | None = None, mock: Callable[..., Any] | None = None) -> Any:
    """Have a tool's calls answered as the mode says, from the cassette that its caller's model calls are in.

    In ``replay`` the function is not called: the k-th call with the same arguments gets the k-th recorded result, or
    error. In ``record`` and ``refresh`` it is called and written down, in ``auto`` where it is not recorded. In
    ``live`` it is called. In ``mock`` a value is made up that fits the type it is annotated to return. Outside a
    cassette nothing changes. What a call costs is none of lmtest's business: it enters no ledger.

    A miss, or a value that no cassette can hold, is raised again by the program's next model call: ReAct takes what a
    tool raises for an observation.

    Args:
        function: A function, a coroutine function, any callable, or a ``dspy.Tool``; what comes back is of the same
            kind, with the same signature and documentation. Left out where options are given to a decorator.
        name: What the tool is called in the cassette; its own name where None.
        mock: What mock mode calls instead of making a value up; it may be the function itself.

    Raises:
        CassetteMiss: When called: this call is not recorded.
        ConfigurationError: When called: an argument or the result is nothing that JSON can say, or there is nothing to
            make a value up from.

    >>> @tool
    ... def population(city: str) -> int:
    ...     raise OSError("no network here")
    >>> import lmtest
    >>> with lmtest.use_cassette(mode="mock"):
    ...     type(population("Paris"))
    <class 'int'>
    """
    if function is None:
        return functools.partial(tool, name=name, mock=mock)
    if isinstance(function, dspy.Tool):
        wrapped = _wrapped(function.func, name or str(function.name), mock)
        return function.model_copy(update={"func": wrapped})
    if not callable(function):
        raise ConfigurationError(
            f"lmtest.tool was given a {type(function).__name__}: it takes a function or a dspy.Tool."
        )
    return _wrapped(function, name or str(getattr(function, "__name__", type(function).__name__)), mock)


@dataclass(frozen=True, kw_only=True)
class _Tool:
    """A function that is recorded, under its name."""

    name: str
    function: Callable[..., Any]
    mock: Callable[..., Any] | None
    signature: inspect.Signature = field(repr=False)

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Json:
        """The call as plain data, the same however its arguments were passed.

        Raises:
            TypeError: The function does not take these arguments.
            ConfigurationError: One of them is nothing that JSON can say.
        """
        bound = dict(self.signature.bind(*args, **kwargs).arguments)
        for parameter in self.signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                bound |= bound.pop(parameter.name, {})
        arguments = {}
        for key, value in bound.items():
            try:
                plain = to_jsonable_python(value)
            except (PydanticSerializationError, ValueError) as error:
                raise self._refused(f"was given a {type(value).__name__} as {key!r}", key) from error
            arguments[key] = self._plain(plain, key, "was given")
        return {"tool": self.name, "arguments": arguments}

    def result(self, value: Any) -> Result:
        """A result as plain data.

        Raises:
            ConfigurationError: It is nothing that JSON can say.
        """
        return Result(value=self._plain(value, "", "returned"))

    def made_up(self, key: str, arguments: Json) -> Result:
        """What mock mode answers: a value of the type that the function returns.

        Raises:
            ConfigurationError: That type has no schema, or none that can be filled.
        """
        from lmtest.lm.values import invent  # late: only mock mode makes values up

        topic = ", ".join(value if isinstance(value, str) else json.dumps(value) for value in arguments.values())
        try:
            schema = _schema(self.function)
            nothing = schema == {"type": "null"}
            made = None if nothing else invent(schema, seed=key, topic=topic[:_LONGEST_TOPIC], name=self.name)
        except (NameError, TypeError, ValueError, pydantic.errors.PydanticUserError) as error:
            told = str(error).partition("\n")[0]
            raise ConfigurationError(
                f"mock mode cannot make up what the tool {self.name!r} returns: {told}. Annotate a return type that "
                "has a JSON Schema, or say what to call instead: lmtest.tool(…, mock=…)."
            ) from error
        return Result(value=made)

    def _plain(self, value: Any, where: str, did: str) -> Any:
        """A copy of a JSON value: what the program does to its own is not recorded."""
        kind = type(value)
        if kind is dict and all(type(key) is str for key in value):
            inner = f"{where}." if where else ""
            return {mended(key): self._plain(item, f"{inner}{key}", did) for key, item in value.items()}
        if kind is list:
            return [self._plain(item, f"{where}[{index}]", did) for index, item in enumerate(value)]
        if kind is str:
            return mended(value)
        if value is None or kind in {bool, int} or (kind is float and math.isfinite(value)):
            return value
        what = (
            repr(value)
            if kind is float
            else f"a {'dict with keys that are no text' if kind is dict else kind.__name__}"
        )
        raise self._refused(f"{did} {what}", where)

    def _refused(self, what: str, where: str) -> ConfigurationError:
        at = f" at {where}" if where else ""
        return ConfigurationError(
            f"the tool {self.name!r} {what}{at}, which a cassette cannot hold: use what JSON can say (None, bool, int, "
            "finite float, str, list, dict with text as keys)."
        )


class _Asked:
    """One call of a tool, inside a scope.

    Args:
        spec: The tool.
        scope: Whose call it is.
        args: Of the call.
        kwargs: Of the call.
    """

    def __init__(self, spec: _Tool, scope: Scope, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        scope.check_open(f"a call of the tool {spec.name!r}")
        self._spec, self._cassette, self._scope = spec, scope.cassette, scope
        self.error: Exception | None = None
        with scope.spoiled_by(ConfigurationError):
            self._request = spec.request(args, kwargs)
        self._key, self._normal = self._cassette.normalise(self._request)
        mocked = self._cassette.mode is Mode.MOCK
        self.target = spec.mock if mocked and spec.mock else spec.function

    def known(self) -> ToolOutcome | None:
        """What is recorded or made up; None where the target is to be called."""
        mode = self._cassette.mode
        found: Interaction | None = None
        if mode is Mode.MOCK and self._spec.mock is None:
            with self._scope.spoiled_by(ConfigurationError):
                made = self._spec.made_up(self._key, self._request["arguments"])
            self._note(made, MOCKED, 0.0)
            return made
        if mode is Mode.REPLAY:
            with self._scope.spoiled_by(CassetteMiss, CassetteNotFound):
                found = self._cassette.play(self._request)
        elif self._cassette.plays_first:
            found = self._cassette.find(self._request)
        if found is None:
            return None
        if not isinstance(found.outcome, Result | Raised):
            raise CassetteFormatError(
                f"{self._cassette.path}: under the key {self._key[:12]} of a tool's call stands a model's answer. "
                "Restore it from version control, or record it again with LM_MODE=record.",
                path=self._cassette.path,
            )
        self._note(found.outcome, PLAYED, found.latency)
        return found.outcome

    @contextmanager
    def watched(self) -> Iterator[_Watch]:
        """Call the target inside, and write down what came of it."""
        watch, started_at, start = _Watch(), clock.utc_now(), clock.seconds()
        try:
            yield watch
        except Exception as error:  # noqa: BLE001 - a tool may raise anything, and the program gets it back
            _LOG.debug("the tool %r raised", self._spec.name, exc_info=error)
            self.error, watch.outcome = error, taken_down(error)
        else:
            watch.outcome = Result(value=watch.value)
            if self._cassette.mode.writes:
                with self._scope.spoiled_by(ConfigurationError):
                    watch.outcome = self._spec.result(watch.value)
        seconds = round(clock.seconds() - start, 4)
        interaction = Interaction(
            key=self._key,
            request=self._normal,
            outcome=watch.outcome,
            cost=Decimal(0),
            latency=seconds,
            recorded_at=clock.stamp(started_at),
        )
        self._cassette.record(interaction, source="")
        self._note(watch.outcome, MOCKED if self._cassette.mode is Mode.MOCK else LIVE, seconds)

    def given(self, outcome: ToolOutcome) -> Any:
        """Hand an outcome to the program.

        An error is raised from this line in every mode, without what was below: ReAct shows the model tracebacks, and
        a prompt must not depend on who answered.
        """
        if isinstance(outcome, Result):
            return outcome.value
        raise (self.error or rebuilt(outcome)).with_traceback(None) from None

    def _note(self, outcome: ToolOutcome, hit: Hit, latency: float | None) -> None:
        kept = self._cassette.mode.writes or hit == PLAYED
        self._cassette.note(
            Call(
                key=self._key,
                model="",
                hit=hit,
                usage=Usage(),
                cost=Decimal(0),
                worth=Decimal(0),
                latency=latency,
                failed=f"{outcome.kind}: {outcome.message}" if isinstance(outcome, Raised) else None,
                cassette=self._cassette.path if kept else None,
                tool=self._spec.name,
            )
        )


class _Watch:
    """What a tool returned, and what that is in a cassette."""

    value: Any = None
    outcome: ToolOutcome


def _wrapped(function: Callable[..., Any], name: str, mock: Callable[..., Any] | None) -> Callable[..., Any]:
    spec = _Tool(name=name, function=function, mock=mock, signature=inspect.signature(function))

    if not _is_asynchronous(function):

        @functools.wraps(function, updated=())
        def called(*args: Any, **kwargs: Any) -> Any:
            scope = claim()
            if scope is None:
                return function(*args, **kwargs)
            asked = _Asked(spec, scope, args, kwargs)
            outcome = asked.known()
            if outcome is None:
                with asked.watched() as watch:
                    watch.value = asked.target(*args, **kwargs)
                outcome = watch.outcome
            return asked.given(outcome)

        return called

    @functools.wraps(function, updated=())
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        scope = claim()
        if scope is None:
            return await function(*args, **kwargs)
        asked = _Asked(spec, scope, args, kwargs)
        outcome = asked.known()
        if outcome is None:
            with asked.watched() as watch:
                value = asked.target(*args, **kwargs)
                watch.value = await value if inspect.isawaitable(value) else value
            outcome = watch.outcome
        return asked.given(outcome)

    return awaited


def _is_asynchronous(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _schema(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The JSON schema of what a function is annotated to return; of a text where it does not say."""
    annotated = function if inspect.isroutine(function) else type(function).__call__
    hints = typing.get_type_hints(annotated, include_extras=True)
    if "return" not in hints:
        return {"type": "string"}
    return pydantic.TypeAdapter(hints["return"]).json_schema(mode="serialization")

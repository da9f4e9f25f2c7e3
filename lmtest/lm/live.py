"""Engines that answer live, write down what came of it, and count what it cost.

They stand in front of the backend DSPy chose, so the call on the wire is the one DSPy would have made.
"""

from __future__ import annotations

import threading
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from dspy.lm15 import LM15Error, NotConfiguredError

from lmtest import clock
from lmtest.cassette.cassette import ABANDONED, LIVE, Call
from lmtest.cassette.interaction import STAND_IN, EventStream, Failure, Interaction, Reply, StreamedEvent
from lmtest.errors import ConfigurationError
from lmtest.lm import handed, translate
from lmtest.lm.answers import MOCK_ID
from lmtest.lm.count import count, count_async
from lmtest.lm.estimate import estimate, received_tokens
from lmtest.lm.retry import retry_after, with_patience
from lmtest.lm.seam import dspy_estimate, handed_through, most_output_tokens
from lmtest.lm.thoughts import thought_of_call
from lmtest.money.prices import price, price_of
from lmtest.money.terms import billed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from dspy.lm15 import Request, Response

    from lmtest.cassette.cassette import Cassette
    from lmtest.cassette.interaction import Json, ModelOutcome
    from lmtest.lm.gate import Gate, Passage
    from lmtest.lm.query import Query
    from lmtest.lm.seam import Billed
    from lmtest.lm.stop import Stop
    from lmtest.money.estimate import Estimate
    from lmtest.money.prices import Price
    from lmtest.money.waiting import Clock


class _Live:
    """What the sync and the async engine share: from an outcome to its interaction, call and cost.

    Args:
        backend: The engine that DSPy chose.
        query: What the call asks, which the cassette is keyed by; the backend may be given another form of it.
        cassette: Where the interaction goes.
        provider: Who answers; carries the cost to DSPy's history.
        source: The host that answers.
        gate: What stands in front.
        stop: Ends calls from another thread.
    """

    def __init__(
        self,
        backend: Any,
        query: Query,
        cassette: Cassette,
        provider: Billed,
        *,
        source: str,
        gate: Gate,
        stop: Stop | None = None,
    ) -> None:
        self._backend = backend
        self._source = source
        self._query = query
        # A backend that speaks canonical requests is asked for each candidate by itself.
        carried = hasattr(backend, "carrier")
        provider.compat = carried
        self._together = query.candidates > 1 and carried
        self._more: list[Response] = []
        self._failed: list[Interaction] = []  # DSPy asks the same engine when it tries a call again
        self._request = query.several if self._together else query.data
        self._thought = thought_of_call(query.system)  # here, where the modules are known
        self._gate = gate
        self._stop = stop
        self._cassette = cassette
        self._provider = provider

    @contextmanager
    def _call(self, passage: Passage) -> Iterator[_Watch]:
        watch = _Watch()
        with self._cassette.under_way(partial(self._give_up, passage, watch)):
            with self._failing(passage, watch):
                yield watch
            assert watch.outcome is not None, "a call that ended well has an outcome"
            self._end(passage, watch, watch.outcome)

    def _give_up(self, passage: Passage, watch: _Watch) -> None:
        """Write down a call that nobody waits for any more, or that hangs in a thread, before its cassette closes."""
        self._end(passage, watch, translate.stream(list(watch.events)))
        passage.settle()

    def _end(self, passage: Passage, watch: _Watch, outcome: ModelOutcome, *, billed: bool = True) -> None:
        if watch.end():
            passage.call = self._finish(outcome, watch, billed=billed)

    @contextmanager
    def _failing(self, passage: Passage, watch: _Watch) -> Iterator[None]:
        """Write down a call that did not end well, whatever ended it."""
        try:
            yield
        except NotConfiguredError as error:
            named = " or ".join(getattr(error, "env_keys", None) or ())
            raise ConfigurationError(
                f"mode {self._cassette.mode.value!r} calls {self._query.model} live, and there is no key for it: set "
                f"{named + ', or ' if named else ''}pass api_key= to dspy.LM. Without a key there are LM_MODE=mock "
                "and, to record from, lmtest serve."
            ) from None
        except LM15Error as error:
            passage.retry_after = error.retry_after = retry_after(error)
            with_patience(error, self._gate.patience(self._query.model))
            billed = translate.may_be_billed(error)
            self._end(passage, watch, translate.failure(error, tuple(watch.events)), billed=billed)
            raise
        except BaseException as error:
            # It was sent and nobody waits for the rest: a stream that was left, a task that was cancelled.
            if not isinstance(error, Exception) or translate.may_be_billed(error):
                self._end(passage, watch, watch.outcome or translate.stream(watch.events))
            raise

    def _finish(self, outcome: ModelOutcome, watch: _Watch, *, billed: bool = True) -> Call:
        latency = round(watch.seconds, 4)  # before the first price is looked up, which brings the price list
        key, normal = self._cassette.normalise(self._request)
        bare = Interaction(
            key=key, request=normal, outcome=outcome, provider=str(self._provider) or None, thought=self._thought
        )
        cost, price_version = self._price(bare) if billed else (Decimal(0), None)
        self._provider.cost = None if cost is None else float(cost)
        interaction = replace(bare, cost=cost, latency=latency, recorded_at=clock.stamp(watch.started_at))
        source = STAND_IN if _is_made_up(outcome) else self._source
        self._keep(interaction, source)
        if interaction.failed:
            self._failed.append(interaction)
        else:
            self._cassette.tried_again(self._failed)
        call = replace(
            _answered(interaction, self._cassette), price_version=price_version, dspy_cost=self._dspy_estimate(outcome)
        )
        if source == STAND_IN:
            call = replace(call, provider=STAND_IN)
        self._cassette.note(call)
        return call

    def _keep(self, interaction: Interaction, source: str) -> None:
        self._cassette.record(interaction, source=source)

    def _received(self, response: Response) -> tuple[Response, Reply]:
        """A whole answer as the program is handed it, and as it is recorded."""
        if self._cassette.mode.writes:
            return handed.response(response, self._query.request)
        return response, translate.reply(response)

    def _handed(self) -> Callable[[Any], Iterable[Any]]:
        """Give what turns an event into those that the program is handed."""
        return handed.Events().of if self._cassette.mode.writes else lambda event: (event,)

    def _first_of(self, response: Response) -> Response:
        """Keep the other candidates of an answer that holds several."""
        if self._together:
            response, *self._more = translate.candidates(response, self._query.request)
        return response

    def _next_candidate(self) -> Response:
        self._provider.cost = 0.0  # it was paid for with the first
        return self._more.pop(0)

    def _heeded(self) -> AbstractContextManager[None]:
        """Behind the gate: whoever was stopped while it waited there is not sent off afterwards."""
        return self._stop.heeded(self._query.model) if self._stop else nullcontext()

    @property
    def _terms(self) -> tuple[str, Json, int | None, Clock | None]:
        """What the gate wants to know of the call."""
        model = self._query.model
        known = (self._cassette.likely_output(self._request), most_output_tokens(model))
        most_output = self._query.max_tokens or min((each for each in known if each), default=None)
        return model, self._request, most_output, self._stop.clock(model) if self._stop else None

    @property
    def _estimate(self) -> Estimate:
        return estimate(self._request, self._query.model)

    def _dspy_estimate(self, outcome: ModelOutcome) -> Decimal | None:
        """What DSPy would have put in its history: kept beside our own, so that a disagreement shows."""
        if isinstance(outcome, Failure) or (isinstance(outcome, EventStream) and outcome.left):
            return None
        request = self._query.request
        return dspy_estimate(translate.response(outcome, request), self._provider, request)

    def _price(self, interaction: Interaction) -> tuple[Decimal | None, str | None]:
        """Price it, and name the list; unknown where nobody counted its tokens.

        What was given up or cut is priced by what was received, though no usage came with it; before anything was, it
        may cost anything up to its worst case, which is what an unknown cost is held at.
        """
        if self._stop is not None and self._stop.called:
            return None, None  # a provider that was hung up on may charge for what it had begun
        try:
            listed = self._listed(interaction)
        except ConfigurationError:
            return None, None  # its file of prices was broken meanwhile: the call is booked, and the next one says so
        return (None, None) if listed is None else (listed.usd, listed.version)

    def _listed(self, interaction: Interaction) -> Price | None:
        at, environ, usage = clock.utc_now(), self._gate.environ, interaction.usage
        if usage.output_tokens is not None or not (interaction.left or interaction.failed) or not interaction.said:
            return price_of(interaction, at=at, environ=environ)
        sent, seen = self._estimate, received_tokens(interaction.said, self._query.model)
        if usage.input_tokens is None:
            usage = replace(usage, input_tokens=sent.input_tokens, input_audio_tokens=sent.audio or None)
        usage, terms, counter = replace(usage, output_tokens=seen), billed(interaction), interaction.provider
        return price(interaction.model, usage, at=at, provider=counter, terms=terms, environ=environ)


class LiveEngine(_Live):
    """DSPy's engine contract, answered live."""

    def complete(self, request: Request) -> Response:
        """Answer whole.

        Raises:
            LimitError: A limit stopped the call before it was sent.
            Stopped: The stop was called, or its time is over.
            ConfigurationError: There is no key.
            LM15Error: What the backend raised.
        """
        if self._more:
            return self._next_candidate()
        with handed_through(), self._passed(request) as passage, self._heeded(), self._call(passage) as watch:
            with self._held():
                response = self._backend.complete(request)
            response, watch.outcome = self._received(response)
        return self._first_of(response)

    def stream(self, request: Request) -> Iterator[Any]:
        """Answer as a stream, with the same errors as :meth:`complete`."""
        with handed_through(), self._passed(request) as passage, self._heeded(), self._call(passage) as watch:
            with self._held():
                hand = self._handed()
                for received in self._backend.stream(request):
                    for event in hand(received):
                        watch.see(event)
                        yield event
            watch.outcome = translate.stream(watch.events)

    def close(self) -> None:
        """The backend is DSPy's to close."""

    @contextmanager
    def _passed(self, request: Request) -> Iterator[Passage]:
        with self._cassette.limited(self._request):
            sent = count(self._backend, request, self._estimate) if self._gate.counts else None
            with self._gate.passed(*self._terms, sent=sent) as passage:
                yield passage

    def _held(self) -> AbstractContextManager[None]:
        return self._stop.holding(self._backend) if self._stop else nullcontext()


class AsyncLiveEngine(_Live):
    """The async twin of :class:`LiveEngine`."""

    async def complete(self, request: Request) -> Response:
        """Answer whole, with the same errors as :meth:`LiveEngine.complete`."""
        if self._more:
            return self._next_candidate()
        with handed_through():
            async with self._passed(request) as passage:
                with self._heeded(), self._call(passage) as watch:
                    async with self._held():
                        response = await self._backend.complete(request)
                    response, watch.outcome = self._received(response)
        return self._first_of(response)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        """Answer as a stream."""
        with handed_through():
            async with self._passed(request) as passage:
                with self._heeded(), self._call(passage) as watch:
                    hand = self._handed()
                    async with _closing(self._backend.stream(request)) as events:
                        while (received := await self._next(events)) is not None:
                            for event in hand(received):
                                watch.see(event)
                                yield event
                    watch.outcome = translate.stream(watch.events)

    async def aclose(self) -> None:
        """The backend is DSPy's to close."""

    async def _next(self, events: AsyncIterator[Any]) -> Any:
        # Held for each event alone: what its listener does in between is no call of ours to end.
        async with self._held():
            return await anext(events, None)

    @asynccontextmanager
    async def _passed(self, request: Request) -> AsyncIterator[Passage]:
        with self._cassette.limited(self._request):
            sent = await count_async(self._backend, request, self._estimate) if self._gate.counts else None
            async with self._gate.passed_async(*self._terms, sent=sent) as passage:
                yield passage

    def _held(self) -> AbstractAsyncContextManager[None]:
        return self._stop.holding_task() if self._stop else nullcontext()


@asynccontextmanager
async def _closing(stream: Any) -> AsyncIterator[AsyncIterator[Any]]:
    """Its events; the connection is not left to the garbage collector where nobody wants them all."""
    events = aiter(stream)
    try:
        yield events
    finally:
        if close := getattr(events, "aclose", None):
            await close()


def _is_made_up(outcome: ModelOutcome) -> bool:
    """Whether an answer came from our own stand-in: its ids say so, whatever client they came through."""
    if isinstance(outcome, Reply):
        return str(outcome.response.get("id", "")).startswith(MOCK_ID)
    events = [each.event for each in outcome.events]
    # lm15 tells the id of Gemini's streams in the last event alone, in the provider's own words.
    ids = [each.get("id") or (each.get("provider_data") or {}).get("responseId") for each in events]
    return any(str(each).startswith(MOCK_ID) for each in ids)


class _Watch:
    """The time of one call, and what it has delivered."""

    def __init__(self) -> None:
        self.started_at = clock.utc_now()
        self._started = clock.seconds()
        self._over = threading.Lock()
        self.events: list[StreamedEvent] = []
        self.outcome: ModelOutcome | None = None

    def end(self) -> bool:
        """End it; false where another thread was first."""
        return self._over.acquire(blocking=False)

    @property
    def seconds(self) -> float:
        return clock.seconds() - self._started

    def see(self, event: Any) -> None:
        self.events.append(StreamedEvent(at=round(self.seconds, 4), event=translate.event_json(event)))


def _answered(interaction: Interaction, cassette: Cassette) -> Call:
    return Call(
        key=interaction.key,
        model=interaction.model,
        hit=LIVE,
        usage=interaction.usage,
        cost=interaction.cost,
        worth=interaction.cost,
        latency=interaction.latency,
        provider=interaction.provider,
        failed=ABANDONED if interaction.left else interaction.failed,
        cassette=cassette.path if cassette.mode.writes else None,
    )

"""Engines that answer from a cassette."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Never

from lmtest import clock
from lmtest.cassette.cassette import ABANDONED, PLAYED, Call
from lmtest.lm import translate
from lmtest.lm.remembered import remember, remembered
from lmtest.lm.seam import LITELLM, handed_through

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from dspy.lm15 import Request, Response

    from lmtest.cassette.cassette import Cassette
    from lmtest.cassette.interaction import Interaction
    from lmtest.lm.query import Query
    from lmtest.lm.seam import Billed

_GRACE: Final = 1.0
"""Seconds that is waited more than the recorded program waited for what it gave up."""


class ReplayEngine:
    """DSPy's engine contract, answered from a cassette.

    Args:
        cassette: Where the answers are.
        provider: Carries what the answer cost when it was recorded.
        query: What the call asks.
        speed: How fast a stream is played: 0 at once, 1 as it was recorded, 2 twice as fast.
        taken: The one answer to give, where it was taken from the cassette already.
    """

    def __init__(
        self,
        cassette: Cassette,
        provider: Billed,
        query: Query,
        *,
        speed: float = 0.0,
        taken: Interaction | None = None,
    ) -> None:
        self._cassette = cassette
        self._query = query
        self._more: list[Response] = []
        self._provider = provider
        self._speed = speed
        self._taken = taken

    def complete(self, request: Request) -> Response:
        """Answer whole.

        Raises:
            CassetteMiss: The request is not recorded (any more), or was given up before its answer came.
            LM15Error: A failure was recorded.
        """
        try:
            return self.answer(request)
        except GivenUp as given_up:
            self._end(given_up.interaction)

    def answer(self, request: Request) -> Response:
        """Answer whole, or say that there is no whole answer.

        Raises:
            GivenUp: The call was given up when it was recorded.
        """
        if self._more:  # of an answer that held several candidates, and was counted with the first
            self._provider.cost = 0.0
            return self._more.pop(0)
        if self._taken is not None:
            return self._first_of(self._noted(self._taken), request)
        with handed_through():
            if len(self._query.forms) > 1:
                return self._first_of(self._noted(self._find()), request)
            taken = self._cassette.take(lambda: self._query.data, exactly=self._query.exactly)
            if (answer := remembered(taken)) is not None:
                self._note(answer.call, answer.cost)
                return answer.response()
            interaction = taken.read()
        call, cost = played(interaction, self._cassette), _cost(interaction)
        self._note(call, cost)
        response = translate.response(whole(interaction).answer, request)
        remember(taken, response, call, cost)
        return response

    def _find(self) -> Interaction:
        return recorded(self._cassette, self._query) or self._cassette.play(self._query.data)

    def _first_of(self, interaction: Interaction, request: Request) -> Response:
        response = translate.response(whole(interaction).answer, request)
        if self._query.candidates > 1 and "n" in interaction.request:
            response, *self._more = translate.candidates(response, request)
        return response

    def stream(self, request: Request) -> Iterator[Any]:  # noqa: ARG002 - DSPy's signature
        """Answer as a stream, with the same errors as :meth:`complete`."""
        try:
            for pause, event in self.paced():
                if pause > 0:
                    clock.sleep(pause)
                yield event
        except GivenUp as given_up:
            self._end(given_up.interaction)

    def paced(self) -> Iterator[tuple[float, Any]]:
        """Give each event with the seconds to wait before it, or say that no more were received.

        Raises:
            GivenUp: The program left the stream here when it was recorded.
        """
        with handed_through():
            interaction = self._noted(self._taken or self._find())
        before = 0.0
        for at, event in translate.events(interaction.answer):
            yield ((at - before) / self._speed if self._speed else 0.0), event
            before = at
        whole(interaction)

    def _end(self, interaction: Interaction) -> Never:
        """Let whoever waits for this thread give up as when this was recorded; longer than then nobody waits."""
        self._cassette.wait(patience(interaction))
        self.end(interaction)

    def end(self, interaction: Interaction) -> Never:
        """Refuse to go on where the recorded program gave up.

        Raises:
            CassetteMiss: Always.
        """
        with handed_through():
            raise self._cassette.ended(interaction)

    def close(self) -> None:
        """Nothing is held open."""

    def _noted(self, interaction: Interaction) -> Interaction:
        self._note(played(interaction, self._cassette), _cost(interaction))
        return interaction

    def _note(self, call: Call, cost: float | None) -> None:
        self._provider.cost = cost
        self._provider.compat = call.provider == LITELLM
        self._cassette.note(call)


class AsyncReplayEngine:
    """The async twin of :class:`ReplayEngine`."""

    def __init__(
        self,
        cassette: Cassette,
        provider: Billed,
        query: Query,
        *,
        speed: float = 0.0,
        taken: Interaction | None = None,
    ) -> None:
        self._sync = ReplayEngine(cassette, provider, query, speed=speed, taken=taken)

    async def complete(self, request: Request) -> Response:
        """Answer whole, with the same errors as :meth:`ReplayEngine.complete`."""
        try:
            return self._sync.answer(request)
        except GivenUp as given_up:
            await self._end(given_up.interaction)

    async def stream(self, request: Request) -> AsyncIterator[Any]:  # noqa: ARG002 - DSPy's signature
        """Answer as a stream."""
        try:
            for pause, event in self._sync.paced():
                if pause > 0:
                    await clock.sleep_async(pause)
                yield event
        except GivenUp as given_up:
            await self._end(given_up.interaction)

    async def _end(self, interaction: Interaction) -> Never:
        """Let the program give up as it did when this was recorded; longer than then nobody waits."""
        await clock.sleep_async(patience(interaction))
        self._sync.end(interaction)

    async def aclose(self) -> None:
        """Nothing is held open."""


def recorded(cassette: Cassette, query: Query) -> Interaction | None:
    """Take the next recorded outcome of a call, under any of its forms; None where there is none (left)."""
    found = (cassette.find(form) for form in query.forms)
    return next((interaction for interaction in found if interaction is not None), None)


def patience(interaction: Interaction) -> float:
    """Seconds in which a program that gave a call up when it was recorded gives it up again."""
    return (interaction.latency or 0.0) + _GRACE


class GivenUp(Exception):
    """Says that a call ends where its program gave it up.

    Attributes:
        interaction: What was recorded of it.
    """

    def __init__(self, interaction: Interaction) -> None:
        super().__init__()
        self.interaction = interaction


def whole(interaction: Interaction) -> Interaction:
    """Give a call that was not given up.

    Raises:
        GivenUp: It was.
    """
    if interaction.left:
        raise GivenUp(interaction)
    return interaction


def played(interaction: Interaction, cassette: Cassette) -> Call:
    """Give what is noted of a call that was played."""
    return Call(
        key=interaction.key,
        model=interaction.model,
        hit=PLAYED,
        usage=interaction.usage,
        cost=Decimal(0),
        worth=interaction.cost,
        latency=interaction.latency,
        provider=interaction.provider,
        failed=ABANDONED if interaction.left else interaction.failed,
        cassette=cassette.path,
        digest=interaction.digest,
        recorded_at=interaction.recorded_at,
    )


def _cost(interaction: Interaction) -> float | None:
    return None if interaction.cost is None else float(interaction.cost)

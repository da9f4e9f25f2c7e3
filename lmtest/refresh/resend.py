"""Recorded requests, sent again without the tests that made them."""

from __future__ import annotations

import json
import os
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import dspy

from lmtest.cassette import blobs
from lmtest.cassette.interaction import EventStream
from lmtest.errors import LimitError
from lmtest.lm.explicit import connect
from lmtest.lm.seam import serde
from lmtest.lm.use import use_cassette
from lmtest.modes import Mode
from lmtest.refresh.answer import read_answer
from lmtest.refresh.prompt import read_inputs
from lmtest.refresh.witness import Ended

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from lmtest.cassette.interaction import Interaction
    from lmtest.lm.scope import Scope
    from lmtest.refresh.plan import Job

_TAKEN_OUT: Final = re.compile(r"<redacted(?::\w+)?>|<scrubbed>|<(?:date|time|uuid|tmp-path)>")
_TOOL_PARTS: Final = frozenset({"tool_call", "tool_result"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Sending:
    """How recorded requests are sent.

    Attributes:
        to: The model that is asked instead of the recorded ones.
        api_base: Where the provider is; None for the provider's own address.
        budget: USD that the run may cost.
    """

    to: str | None = None
    api_base: str | None = None
    budget: Decimal | None = None


def resend(job: Job, calls: Sequence[Interaction], sending: Sending) -> Ended:
    """Send the requests of a cassette again, and write the answers beside it.

    Args:
        job: The cassette.
        calls: Its calls.
        sending: How.

    Returns:
        How it ended, as if it were a test.
    """
    use = use_cassette(job.path, flag=Mode.REFRESH.value, test=job.test)
    cassette = use.open()
    scope = use.scope(cassette)
    with ExitStack() as connections, _budget_of(sending):
        for call in calls:
            try:
                _send(replace(call, request=blobs.attach(call.request, job.path.parent)), scope, sending, connections)
            except LimitError as error:
                return Ended(test=job.name, outcome="failed", reason=str(error), limit=str(error))
            except dspy.lm15.LM15Error:
                continue  # it is in the cassette as a failure, which keeps the whole from being accepted
    use.close(cassette, None)
    return Ended(test=job.name, outcome="passed")


@contextmanager
def _budget_of(sending: Sending) -> Iterator[None]:
    """A budget that a flag gave wins over the environment's."""
    name = "LMTEST_USD_PER_RUN"
    before = os.environ.get(name)
    if sending.budget is not None:
        os.environ[name] = f"{sending.budget:f}"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


def _send(call: Interaction, scope: Scope, sending: Sending, connections: ExitStack) -> None:
    request = serde.request_from_dict(call.request)
    lm = dspy.LM(sending.to or call.model, **({"api_base": sending.api_base} if sending.api_base else {}))
    backend = connect(lm, asynchronous=False)
    connections.callback(backend.close)
    request = replace(request, model=lm.model)
    engine, asked, _ = scope.engine(lm, request, lambda: (backend, request), asynchronous=False)
    if isinstance(call.outcome, EventStream):
        for _ in engine.stream(asked):
            pass
    else:
        engine.complete(asked)


def why_not(calls: Sequence[Interaction]) -> str:
    """Say why requests cannot be sent again as they were recorded; empty where they can.

    A request that holds an earlier answer would be asked with the old one, so its answer would fit no run of the test.
    """
    for number, call in enumerate(calls, start=1):
        if call.tool:
            return (
                f"call {number} ({call.key[:12]}) is one of the tool {call.tool!r}, which only its test can make; "
                "run that instead, without --calls-only."
            )
        if mark := _TAKEN_OUT.search(json.dumps(call.request)):
            return (
                f"call {number} ({call.key[:12]}) was recorded without what {mark[0]} stands for; "
                "run its test instead, without --calls-only."
            )
        earlier = next((before for before, one in enumerate(calls[: number - 1], start=1) if _holds(call, one)), None)
        if earlier:
            return (
                f"call {number} ({call.key[:12]}) is chained: it holds what call {earlier} answered; "
                "run its test instead, without --calls-only."
            )
    return ""


def _holds(later: Interaction, earlier: Interaction) -> bool:
    """Whether a request holds something of an earlier answer that the earlier request did not hold itself."""
    if any(part.get("type") in _TOOL_PARTS for part in _parts(later)):
        return True
    if earlier.failed:
        return False
    asked, before = " ".join(_texts(later)), " ".join(_texts(earlier))
    answer = read_answer(earlier)
    said = answer.fields.values() if answer.fields else [answer.text]
    found = {text for value in said for text in _leaves(value) if text}
    return any(_stands_in(text, asked) and not _stands_in(text, before) for text in found)


def _stands_in(text: str, whole: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", whole) is not None


def _parts(call: Interaction) -> Iterator[Any]:
    for message in call.request.get("messages") or ():
        yield from message.get("parts") or ()


def _texts(call: Interaction) -> list[str]:
    """What a program wrote into a request; where an adapter laid that out, without the layout."""
    return list(read_inputs(call.request).values()) or [part.get("text") or "" for part in _parts(call)]


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for item in value.values():
                yield from _leaves(item)
        case list() | tuple():
            for item in value:
                yield from _leaves(item)
        case None | bool():
            return
        case _:
            yield str(value).strip()

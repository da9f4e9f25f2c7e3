"""Recorded requests, sent again without the tests that made them."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import dspy
from dspy.clients.engines import LiteLLMEngine

from lmtest.cassette import blobs
from lmtest.cassette.interaction import EventStream
from lmtest.errors import CassetteUnsaved, LimitError
from lmtest.lm.compat import CompatEngine
from lmtest.lm.explicit import connect
from lmtest.lm.query import Query
from lmtest.lm.substitution import Substitution
from lmtest.lm.use import use_cassette
from lmtest.modes import REFRESHING, Mode
from lmtest.money.limits import Limits
from lmtest.money.origin import REFRESH_FLAG
from lmtest.refresh.witness import Ended
from lmtest.variables import run_variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lmtest.cassette.interaction import Interaction
    from lmtest.lm.scope import Scope
    from lmtest.refresh.plan import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class Sending:
    """How recorded requests are sent.

    Attributes:
        to: The models that are asked instead of the recorded ones.
        api_base: Where the provider is; None for the provider's own address.
        limits: What the run may use up, before what the environment says.
    """

    to: Substitution = field(default_factory=Substitution)
    api_base: str | None = None
    limits: Limits = field(default_factory=Limits)


def resend(job: Job, calls: Sequence[Interaction], sending: Sending) -> Ended:
    """Send the requests of a cassette again, and write the answers beside it.

    Args:
        job: The cassette.
        calls: Its calls.
        sending: How.

    Returns:
        How it ended, as if it were a test.
    """
    use = use_cassette(job.path, flag=Mode.REFRESH.value, test="\n".join(job.tests) or None)
    with ExitStack() as connections, limited(sending.limits):
        cassette = use.open()
        scope = use.scope(cassette)
        for call in calls:
            try:
                _send(replace(call, request=blobs.attach(call.request, job.path.parent)), scope, sending, connections)
            except LimitError as error:
                return Ended(test=job.names[0], outcome="failed", reason=str(error), limit=str(error))
            except CassetteUnsaved as error:
                return Ended(test=job.names[0], outcome="failed", reason=str(error), unkept=str(error))
            except dspy.lm15.LM15Error:
                continue  # it is in the cassette as a failure, which keeps the whole from being accepted
    try:
        use.close(cassette, None)
    except CassetteUnsaved as error:
        return Ended(test=job.names[0], outcome="failed", reason=str(error), unkept=str(error))
    return Ended(test=job.names[0], outcome="passed")


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Limits that a flag gave win over the environment's; a default one holds where there is none, as for tests."""
    said = limits.over(os.environ, flag=REFRESH_FLAG) | run_variables(REFRESHING, os.environ)
    before = {name: os.environ.get(name) for name in said}
    os.environ.update(said)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _send(call: Interaction, scope: Scope, sending: Sending, connections: ExitStack) -> None:
    lm = dspy.LM(sending.to.of(call.model), **({"api_base": sending.api_base} if sending.api_base else {}))
    query = Query.recorded(call.request, model=lm.model)
    if query.body is None:
        backend = connect(lm, asynchronous=False)
    else:
        backend = CompatEngine(LiteLLMEngine(model_type=lm.model_type), lm, lm.kwargs | query.body)
    connections.callback(backend.close)
    engine, request, _ = scope.engine(lm, query, lambda: (backend, query.request), asynchronous=False)
    if isinstance(call.outcome, EventStream):
        for _ in engine.stream(request):
            pass
    else:
        engine.complete(request)

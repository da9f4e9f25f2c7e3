"""One run of a program: which, on what, and how."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from python_worker.client import calls
from python_worker.client.arguments import carried
from python_worker.domain.ask import LONGEST_TIMEOUT
from python_worker.v1 import worker_pb2 as pb
from python_worker.wire.durations import duration
from python_worker.wire.programs import actions_to_wire
from python_worker.wire.values import fields_to_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from python_worker.domain.action import Action
    from python_worker.domain.value import Fields

WAY = 5.0
"""Seconds that a reply may take on its way, beyond the time an execution was given."""

_P = ParamSpec("_P")
_Client = TypeVar("_Client")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Order:
    """One run of a program. ``execute`` and ``stream`` take what an order takes; what is left out is the worker's own.

    Attributes:
        program: Id or name.
        inputs: By field.
        timeout: Seconds the run may take, all attempts together; None is the worker's setting.
        session: Id of the session whose language model answers and whose programs are meant.
        validate_inputs: Whether the signature's types are held to; otherwise DSPy takes them as they are.
        track_metrics: Whether the execution tells what it used.
        idempotency_key: A second run with it, in its session, gets the first one's execution.
        adapters: Where to run, the first that can.
        retries: How often a retryable failure is tried again, 0 to 10.
        actions: Beside those of the program.
        version: Of the program; 0 is the newest.
    """

    program: str
    inputs: Fields
    _: KW_ONLY
    timeout: float | None = None
    session: str = ""
    validate_inputs: bool = True
    track_metrics: bool = False
    idempotency_key: str = ""
    adapters: Sequence[str] = ()
    retries: int = 0
    actions: Sequence[Action] = ()
    version: int = 0

    @carried
    def request(self) -> pb.ExecuteRequest:
        """The request for it.

        Raises:
            WorkerError: ``unserializable``: an input that no message can carry; ``invalid_argument``: a number out of
                range, or adapters that are no list.
        """
        return pb.ExecuteRequest(
            program=self.program,
            inputs=fields_to_wire(self.inputs),
            timeout=None if self.timeout is None else duration(self.timeout),
            session=self.session,
            validate_inputs=self.validate_inputs,
            track_metrics=self.track_metrics,
            idempotency_key=self.idempotency_key,
            adapters=calls.names(self.adapters, "adapters"),
            retries=self.retries,
            actions=actions_to_wire(self.actions),
            version=self.version,
        )

    def patience(self, deadline: float) -> float:
        """Seconds to wait for its end, where calls have a deadline."""
        # Within what a worker takes, so that it can say so of any other: gRPC cannot carry every deadline.
        return deadline if self.timeout is None else min(max(self.timeout, 0.0), LONGEST_TIMEOUT) + WAY


def taking(
    make: Callable[_P, Order],
) -> Callable[[Callable[[_Client, Order], _Result]], Callable[Concatenate[_Client, _P], _Result]]:
    """Let a method that runs an order take what the order is made of."""

    def taken(run: Callable[[_Client, Order], _Result]) -> Callable[Concatenate[_Client, _P], _Result]:
        @wraps(run)
        def method(self: _Client, /, *args: _P.args, **how: _P.kwargs) -> _Result:
            return run(self, make(*args, **how))

        return calls.signed(method, make)

    return taken

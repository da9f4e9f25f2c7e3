"""Why lmtest stopped a call, as a message."""

from __future__ import annotations

from decimal import Decimal

from python_worker.domain.call_stop import CallStop, Difference, NearMiss
from python_worker.v1 import worker_pb2 as pb


def stop_to_wire(stop: CallStop) -> pb.CallStop:
    """The message."""
    return pb.CallStop(
        kind=stop.kind,
        key=stop.key,
        cassette=stop.cassette,
        command=stop.command,
        nearest=[
            pb.NearMiss(
                key=each.key,
                line=each.line,
                differences=[pb.Difference(path=one.path, change=one.change) for one in each.differences],
            )
            for each in stop.nearest
        ],
        spent=_text(stop.spent),
        limit=_text(stop.limit),
        estimate=_text(stop.estimate),
    )


def stop_from_wire(message: pb.CallStop) -> CallStop:
    """What it tells."""
    return CallStop(
        kind=message.kind,
        key=message.key,
        cassette=message.cassette,
        command=message.command,
        nearest=tuple(
            NearMiss(
                key=each.key,
                line=each.line,
                differences=tuple(Difference(path=one.path, change=one.change) for one in each.differences),
            )
            for each in message.nearest
        ),
        spent=_amount(message.spent),
        limit=_amount(message.limit),
        estimate=_amount(message.estimate),
    )


def shorten(stop: pb.CallStop, excess: int) -> None:
    """Take at least so many bytes from a message, what matters least first; less where it has not as many."""
    wanted = stop.ByteSize() - excess
    while stop.ByteSize() > wanted and len(stop.nearest) > 1:
        stop.nearest.pop()
    for near in stop.nearest:
        while stop.ByteSize() > wanted and len(near.differences) > 1:
            near.differences.pop()
        for difference in near.differences:
            if stop.ByteSize() > wanted:
                difference.change = _cut(difference.change, 400)
    if stop.ByteSize() > wanted:
        stop.command = _cut(stop.command, 400)
        stop.cassette = _cut(stop.cassette, 400)


def _cut(text: str, most: int) -> str:
    return text if len(text.encode()) <= most else text.encode()[:most].decode(errors="ignore") + "…"


def _text(amount: Decimal | None) -> str:
    return "" if amount is None else format(amount, "f")


def _amount(text: str) -> Decimal | None:
    return Decimal(text) if text else None

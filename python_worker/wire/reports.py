"""What a test's executions did, as a message."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from python_worker.v1 import worker_pb2 as pb

if TYPE_CHECKING:
    import lmtest

_COUNTS = ("calls", "played", "recorded", "unpriced", "seconds")
_LISTS = ("missed", "refused", "doubts", "unplayed")
_AMOUNTS = ("spent", "stand_in", "saved")


def report_to_wire(report: lmtest.CassetteReport) -> pb.CassetteReport:
    """The message."""
    told: dict[str, Any] = {name: getattr(report, name) for name in ("mode", *_COUNTS, *_LISTS)}
    amounts = {name: format(getattr(report, name), "f") for name in _AMOUNTS}
    return pb.CassetteReport(**told, **amounts)  # type: ignore[arg-type] # each is of its own kind


def report_fields(message: pb.CassetteReport) -> dict[str, Any]:
    """What it tells, by the names of `lmtest.CassetteReport`."""
    return {
        "mode": message.mode,
        **{name: getattr(message, name) for name in _COUNTS},
        **{name: tuple(getattr(message, name)) for name in _LISTS},
        **{name: Decimal(getattr(message, name) or 0) for name in _AMOUNTS},
    }

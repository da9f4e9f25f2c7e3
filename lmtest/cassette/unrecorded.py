"""Failures of a provider that a program caught and that are not recorded, so that its replay misses the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lmtest.cassette.interaction import Interaction

KEEP_FAILURES: Final = "record it with record_failures=True"
"""The setting that helps where a program goes on after a failure of the provider."""


def unrecorded(failed: Iterable[Interaction]) -> tuple[str, ...]:
    """Give a sentence for each request that failed.

    Args:
        failed: The calls that failed, and were not answered when DSPy tried them again.
    """
    told = (
        f"{each.key[:12]}: a call to {each.model} failed ({each.failed}), and the program went on. The failure is not "
        f"recorded, so a replay misses the call: {KEEP_FAILURES}."
        for each in failed
    )
    return tuple(dict.fromkeys(told))

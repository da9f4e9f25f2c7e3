"""Why what was recorded may replay otherwise than it went, or went otherwise than its provider meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lmtest.cassette.assembled import merged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lmtest.cassette.interaction import Interaction

KEEP_FAILURES: Final = "record it with record_failures=True"
"""What helps where a program goes on after a failure of the provider."""


def doubts(unkept: Iterable[Interaction], recorded: Iterable[Interaction]) -> tuple[str, ...]:
    """Give a sentence for each reason.

    Args:
        unkept: The calls that failed, were not answered when DSPy tried them again, and are not recorded.
        recorded: Those that are.
    """
    failed = (
        f"{each.key[:12]}: a call to {each.model} failed ({each.failed}), and the program went on. The failure is not "
        f"recorded, so a replay misses the call: {KEEP_FAILURES}."
        for each in unkept
    )
    return (*dict.fromkeys(failed), *(told for each in recorded for told in merged(each)))

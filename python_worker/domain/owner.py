"""The test that owns what an execution plays and records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """A test, as its client names it.

    Attributes:
        test: Its id.
        cassette: Its cassette, from the cassette directory; "" where the id names it.
        mode: Who answers; "" is the worker's own mode.
        run: The run it belongs to.
        sample: Which repetition of the test this is.
        command: What records it; "" where the client does not say.
        allow_misses: Whether an execution may succeed though it missed a recording and its program caught that.
        keep_others: Whether recordings that other tests play from stay in the cassette.
        shares: What the executions have in common that share an opening of the cassette; "" of those of the test alone.
        to: The model that a refresh asks instead of the program's own; "" where it asks none.
        options: Further arguments of `lmtest.use_cassette`, as JSON values.
        asked_by: The name of the client's token; "" where tokens are not asked for.
    """

    test: str
    cassette: str = ""
    mode: str = ""
    run: str = ""
    sample: int | None = None
    command: str = ""
    allow_misses: bool = False
    keep_others: bool = False
    shares: str = ""
    to: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)
    asked_by: str = ""

    @property
    def opening(self) -> tuple[object, ...]:
        """What the executions have in common that share one opening of the cassette."""
        whose = self.shares or self.test
        return self.asked_by, whose, self.cassette, self.mode, self.run, self.sample, self.to

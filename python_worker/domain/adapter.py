"""An adapter: a place where programs run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class AdapterInfo:
    """A place where programs run, as clients see it.

    Attributes:
        why_not: Why it is not available; "" where it is.
        streaming: Whether it tells tokens as they come.
        tools: Whether its programs can call tools.
        cancellation: Whether a run under way can be stopped from outside.
        aliases: What else it is called.
    """

    name: str
    why_not: str = ""
    streaming: bool = False
    tools: bool = False
    cancellation: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def available(self) -> bool:
        """Whether programs can run there now."""
        return not self.why_not

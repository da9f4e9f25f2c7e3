"""The adapters a worker has, in its order; and those it knows and does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_worker.domain.adapter import AdapterInfo
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.execution import Fallback
from python_worker.domain.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_worker.runtime.adapter import Adapter

NOT_YET = (
    AdapterInfo(
        name="pool",
        why_not="comes later: this version of the worker does not run programs in processes of their own",
        streaming=True,
        tools=True,
        cancellation=True,
        aliases=("python_port",),
    ),
    AdapterInfo(
        name="ray",
        why_not="comes later: this version of the worker does not run programs on Ray",
        tools=True,
        cancellation=True,
    ),
)
"""Known by name, so that a client that names them is told why they do not run."""


class Adapters:
    """Chooses where an execution runs.

    Args:
        available: Those there are.
        order: By name or alias; those that are not named run only what asks for them.
        unavailable: Those that are known and are not there.

    Raises:
        WorkerError: ``invalid_argument``: the order names one that is not known.
    """

    def __init__(
        self,
        available: Sequence[Adapter],
        *,
        order: Sequence[str] = (),
        unavailable: Sequence[AdapterInfo] = NOT_YET,
    ) -> None:
        self._by_name = {adapter.info.name: adapter for adapter in available}
        self._infos = {info.name: info for info in (*(each.info for each in available), *unavailable)}
        self._names = {alias: info.name for info in self._infos.values() for alias in (info.name, *info.aliases)}
        self._order = self._resolve(order or tuple(self._by_name))

    @property
    def infos(self) -> tuple[AdapterInfo, ...]:
        """All that are known, those of the worker's order first."""
        rest = [name for name in self._infos if name not in self._order]
        return tuple(self._infos[name] for name in (*self._order, *rest))

    def choose(self, asked: Sequence[str], *, tools: bool = False) -> tuple[tuple[Adapter, ...], tuple[Fallback, ...]]:
        """Those that can run it, in order, and why others before them cannot.

        Args:
            asked: By name or alias; the worker's own order where empty.
            tools: Whether the program calls tools.

        Raises:
            WorkerError: ``invalid_argument``: one is not known; ``configuration``: none can run it.
        """
        able: list[Adapter] = []
        fallbacks: list[Fallback] = []
        for name in self._resolve(asked) if asked else self._order:
            why = self._infos[name].why_not or ("it has no tools" if tools and not self._infos[name].tools else "")
            if why and not able:
                fallbacks.append(Fallback(adapter=name, why=why))
            elif not why:
                able.append(self._by_name[name])
        if able:
            return tuple(able), tuple(fallbacks)
        told = "; ".join(f"{each.adapter}: {each.why}" for each in fallbacks)
        raise WorkerError(
            f"no adapter can run it ({told}): name one of {', '.join(self._by_name)}, or none for the worker's own "
            "order.",
            reason=Reason.CONFIGURATION,
            field="adapters",
        )

    def close(self, *, timeout: float) -> bool:
        """Take no more tasks, and wait for those under way; whether all of them ended."""
        ended = [
            adapter.close(timeout=timeout) for adapter in self._by_name.values()
        ]  # each of them, whatever one says
        return all(ended)

    def _resolve(self, names: Sequence[str]) -> tuple[str, ...]:
        for name in names:
            if name not in self._names:
                raise WorkerError(
                    f"no adapter {name[:80]!r}.{did_you_mean(name, self._names)} Known: {', '.join(self._names)}.",
                    reason=Reason.INVALID_ARGUMENT,
                    field="adapters",
                )
        return tuple(dict.fromkeys(self._names[name] for name in names))

"""Settings collected in a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from python_worker.domain.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from python_worker.domain.value import Value
    from python_worker.domain.variable import Variable


class Batch:
    """``b["x"] = 1`` collects; all are made in one call when the block ends well, none when it does not.

    Attributes:
        results: After the block, what became of each.
    """

    def __init__(self, set_many: Callable[..., Mapping[str, Variable | WorkerError]], *, atomic: bool) -> None:
        self._set_many = set_many
        self._atomic = atomic
        self._values: dict[str, Value] = {}
        self.results: Mapping[str, Variable | WorkerError] = {}

    def __setitem__(self, name: str, value: Value) -> None:
        self._values[name] = value

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None and self._values:
            self.results = self._set_many(self._values, atomic=self._atomic)

    @property
    def errors(self) -> dict[str, WorkerError]:
        """After a block that was not atomic, those that were refused."""
        return {name: result for name, result in self.results.items() if isinstance(result, WorkerError)}

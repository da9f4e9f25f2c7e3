"""One variable as an object, and all of them as attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from python_worker.domain.value import Value
    from python_worker.domain.variable import Variable
    from python_worker.domain.watch import Change


class Variables(Protocol):
    """What one variable needs of all of them."""

    def __getitem__(self, name: str, /) -> Any:
        """The value of a variable."""

    def __setitem__(self, name: str, value: Value, /) -> None:
        """Register a variable, or give it a value."""

    def get_variable(self, name: str) -> Variable:
        """The variable with its type, version and metadata."""

    def increment(self, name: str, by: float, *, reason: str) -> Variable:
        """Add to a number."""

    def append(self, name: str, *items: Value, reason: str) -> Variable:
        """Append to a list."""

    def history(self, name: str) -> Sequence[Change]:
        """The changes that are kept."""

    def roll_back(self, name: str, version: int) -> Variable:
        """Give it an earlier value."""

    def delete(self, name: str) -> None:
        """Take it away."""


class RemoteVariable:
    """One variable of a session; every access asks the session.

    Attributes:
        name: Its name or id.
    """

    def __init__(self, session: Variables, name: str) -> None:
        self._session = session
        self.name = name

    def __repr__(self) -> str:
        return f"<variable {self.name!r} of {self._session!r}>"

    @property
    def value(self) -> Any:
        """Its value; setting it registers the variable where it is not there."""
        return self._session[self.name]

    @value.setter
    def value(self, value: Value) -> None:
        self._session[self.name] = value

    @property
    def info(self) -> Variable:
        """It with its type, version and metadata."""
        return self._session.get_variable(self.name)

    @property
    def version(self) -> int:
        """1 as registered; every change adds one."""
        return self.info.version

    def increment(self, by: float = 1, *, reason: str = "") -> Any:
        """Add to it in one step, and tell what came of it."""
        return self._session.increment(self.name, by, reason=reason).value

    def append(self, *items: Value, reason: str = "") -> None:
        """Append to it in one step."""
        self._session.append(self.name, *items, reason=reason)

    def history(self) -> Sequence[Change]:
        """The changes that are kept of it, oldest first."""
        return self._session.history(self.name)

    def roll_back(self, version: int) -> None:
        """Give it the value it had at an earlier version."""
        self._session.roll_back(self.name, version)

    def delete(self) -> None:
        """Take it away."""
        self._session.delete(self.name)


class Attributes:
    """The variables of a session as attributes: ``s.v.x``, ``s.v.x = 1``, ``del s.v.x``."""

    def __init__(self, session: MutableMapping[str, Any]) -> None:
        object.__setattr__(self, "_session", session)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own questions, such as those of copy and inspect
            raise AttributeError(name)
        return self._session[name]

    def __setattr__(self, name: str, value: Value) -> None:
        self._session[name] = value

    def __delattr__(self, name: str) -> None:
        del self._session[name]

"""A session as a mapping of its variables."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from python_worker.client import calls
from python_worker.client.batch import Batch
from python_worker.client.cache import ReadCache
from python_worker.client.errors import VariableNotFound
from python_worker.client.proxy import Attributes, RemoteVariable
from python_worker.client.watching import Request, Watching
from python_worker.domain.errors import WorkerError

if TYPE_CHECKING:
    from python_worker.domain.session import Session
    from python_worker.domain.value import Value
    from python_worker.domain.variable import Variable
    from python_worker.domain.watch import Change
    from python_worker.v1 import worker_pb2 as pb


class Runner(calls.Runner, Protocol):
    """What a session needs of its client."""

    def open_watch(self, request: pb.WatchRequest) -> Any:
        """Open a stream of changes."""


class RemoteSession(MutableMapping[str, Any]):
    """The variables of one session: ``s["x"] = 1`` registers or sets, ``s["x"]``, ``"x" in s``, ``del s["x"]``.

    Also by attribute, ``s.v.x``; as an object, ``s.variable("x")``; several at once, ``with s.batch() as b``. Threads
    may share one. Wherever a name is taken, an id is.

    Attributes:
        id: The session's.
        v: The variables as attributes.
    """

    def __init__(self, client: Runner, session_id: str, *, cache_ttl: float | None) -> None:
        self.id = session_id
        self.v = Attributes(self)
        self._client = client
        self._cache = None if cache_ttl is None else ReadCache(ttl=cache_ttl)
        self._invalidating: Watching | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<session {self.id!r}>"

    def __getitem__(self, name: str) -> Any:
        if self._cache is None:
            return self._client.run(calls.get_value(self.id, name))
        value = self.get_variable(name).value
        # What is remembered must not change with what its reader does to it.
        return copy.deepcopy(value) if isinstance(value, list | dict) else value

    def __setitem__(self, name: str, value: Value) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __contains__(self, name: object) -> bool:
        try:
            self.get_variable(str(name))
        except VariableNotFound:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return (variable.name for variable in self.variables())

    def __len__(self) -> int:
        return self.info().variables

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def clear_cache(self) -> None:
        """Forget what was read: the next reading asks the worker. ``clear`` deletes the variables themselves."""
        if self._cache:
            self._cache.clear()

    def clear(self) -> None:
        """Delete all variables of the session on the worker, for everybody, as of any mapping.

        To forget what this client remembers there is ``clear_cache``.
        """
        super().clear()

    def info(self) -> Session:
        """The session itself."""
        return self._client.run(calls.get_session(self.id))

    def touch(self) -> Session:
        """Let it live for another ttl."""
        return self._client.run(calls.touch_session(self.id))

    def end(self) -> None:
        """Take it away with its variables."""
        self.close()
        self._client.run(calls.end_session(self.id))

    def close(self) -> None:
        """Let go of what this object holds; the session stays."""
        with self._lock:
            watching, self._invalidating = self._invalidating, None
        if watching:
            watching.close()
        self.clear_cache()

    def register(
        self,
        name: str,
        value: Value,
        *,
        type: str = "",  # noqa: A002 - as the contract says
        metadata: Mapping[str, str] | None = None,
    ) -> Variable:
        """Make a variable.

        Args:
            name: Unique in the session.
            value: Its first.
            type: In the native syntax, such as ``:list(:string)``; inferred from the value where empty.
            metadata: Whatever is to be found again with it.

        Raises:
            InvalidValue: The value is not of the type.
            WorkerError: ``already_exists``, or another reason.
        """
        return self._write(name, calls.register(self.id, name, value, type_text=type, metadata=metadata))

    def get_variable(self, name: str) -> Variable:
        """The variable with its type, version and metadata.

        Raises:
            VariableNotFound: There is none.
        """
        if self._cache is None:
            return self._client.run(calls.get(self.id, name))
        found = self._cache.get(name)
        if found is None:
            self._watch_for_the_cache()
            found = self._client.run(calls.get(self.id, name))
            self._cache.put(found)
        return found

    def set(
        self,
        name: str,
        value: Value,
        *,
        expected_version: int | None = None,
        metadata: Mapping[str, str] | None = None,
        reason: str = "",
        register: bool = True,
    ) -> Variable:
        """Give a variable a value; where it is not there it is registered, unless that is not wanted.

        Args:
            name: Or id.
            value: As its type takes it.
            expected_version: The version it must be at; None for any.
            metadata: Laid over what it has.
            reason: Kept in the history.
            register: Whether it is registered, by the inferred type, where it is not there.

        Raises:
            VariableNotFound: There is none, and it was not to be registered.
            InvalidValue: The value is not of its type.
            StaleVersion: It is at another version.
        """
        call = calls.set_(
            self.id,
            name,
            value,
            expected_version=expected_version,
            metadata=metadata,
            reason=reason,
            register=register,
        )
        return self._write(name, call)

    def increment(self, name: str, by: float = 1, *, reason: str = "") -> Variable:
        """Add to a number in one step: no concurrent increment is lost."""
        return self._write(name, calls.increment(self.id, name, by, reason=reason))

    def append(self, name: str, *items: Value, reason: str = "") -> Variable:
        """Append items to a list in one step."""
        return self._write(name, calls.append(self.id, name, items, reason=reason))

    def roll_back(self, name: str, version: int, *, expected_version: int | None = None, reason: str = "") -> Variable:
        """Give a variable the value it had at an earlier version, as a new version."""
        call = calls.roll_back(self.id, name, version, expected_version=expected_version, reason=reason)
        return self._write(name, call)

    def delete(self, name: str, *, expected_version: int | None = None, reason: str = "") -> None:
        """Take a variable away.

        Raises:
            VariableNotFound: There is none.
        """
        call = calls.delete(self.id, name, expected_version=expected_version, reason=reason)
        try:
            position = self._client.run(call)
        except WorkerError:
            self._doubt(name)
            raise
        if self._cache:
            self._cache.drop(name, position)

    def variables(self, pattern: str = "") -> Iterator[Variable]:
        """The variables by name; those whose name is of a pattern with ``*`` and ``?``, where it is given."""
        return calls.items(self._client, lambda token: calls.list_variables(self.id, pattern, token))

    def history(self, name: str) -> Sequence[Change]:
        """The changes that are kept of a variable, oldest first."""
        return self._client.run(calls.history(self.id, name))

    def get_many(self, names: Sequence[str]) -> dict[str, Value]:
        """The values of those variables there are, by name, in one call."""
        self._watch_for_the_cache()
        found = self._client.run(calls.get_many(self.id, names))
        for variable in found:
            self._remember(variable)
        return {variable.name: variable.value for variable in found}

    def set_many(
        self, values: Mapping[str, Value], *, atomic: bool = True, register: bool = True, reason: str = ""
    ) -> dict[str, Variable | WorkerError]:
        """Give many variables their values in one call.

        Args:
            values: By name.
            atomic: All or nothing; otherwise each by itself, and the answer tells which were refused.
            register: Whether those that are not there are registered by their inferred types.
            reason: Kept in the history.

        Raises:
            WorkerError: Where ``atomic``: the first refusal; nothing is changed then.
        """
        call = calls.set_many(self.id, values, atomic=atomic, register=register, reason=reason)
        self._watch_for_the_cache()
        try:
            results = self._client.run(call)
        except WorkerError:
            for name in values:
                self._doubt(name)
            raise
        for result in results.values():
            if not isinstance(result, WorkerError):
                self._remember(result)
        return results

    def batch(self, *, atomic: bool = True) -> Batch:
        """Collect settings in a ``with`` block, and make them in one call when it ends well."""
        return Batch(self.set_many, atomic=atomic)

    def variable(self, name: str) -> RemoteVariable:
        """One variable as an object."""
        return RemoteVariable(self, name)

    def watch(self, *patterns: str, include_initial: bool = False, after: int | None = None) -> Watching:
        """Watch variables; close it, or use it in a ``with`` block.

        Args:
            patterns: Names, or patterns with ``*`` and ``?``; all where there is none.
            include_initial: Whether the current values come first.
            after: The position of an earlier watching: what has changed since comes first.
        """
        return Watching(
            self._client.open_watch,
            Request(self.id, patterns, include_initial=include_initial, after=after),
        )

    def _write(self, name: str, call: calls.Call[Variable]) -> Variable:
        self._watch_for_the_cache()
        try:
            variable = self._client.run(call)
        except WorkerError:
            self._doubt(name)
            raise
        self._remember(variable)
        return variable

    def _remember(self, variable: Variable) -> None:
        if self._cache:
            self._cache.put(variable)

    def _doubt(self, name: str) -> None:
        """Whether a call that failed has written, nobody knows."""
        if self._cache:
            self._cache.forget(name)

    def _watch_for_the_cache(self) -> None:
        if self._cache is None or self._invalidating:
            return
        with self._lock:
            # Before anything is remembered: no change after that goes unheard.
            if self._invalidating is None:
                self._invalidating = self.watch()
                thread = threading.Thread(
                    target=_invalidate, args=(self._invalidating, self._cache), name="read-cache", daemon=True
                )
                thread.start()


def _invalidate(watching: Watching, cache: ReadCache) -> None:
    try:
        for change in watching:
            cache.drop(change.name, change.position)
    except WorkerError:
        cache.clear()  # nobody tells any more: from here on, only the ttl counts

"""What may be done with variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.value import excerpt
from python_worker.domain.variable import Content, Edit, Variable, check_variable_name, matcher
from python_worker.state.kinds import hold, infer, read_type
from python_worker.state.sessions import check_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from python_worker.domain.repositories import Variables
    from python_worker.domain.value import Value
    from python_worker.domain.watch import Change

MOST_IN_BATCH = 10_000


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A value that a variable is to get.

    Attributes:
        variable: Name or id.
        expected_version: The version it must be at, or None.
        metadata: Laid over what it has.
        reason: Kept in the history.
        register: Whether one is registered, by the inferred type, where there is none of that name.
    """

    variable: str
    value: Value
    expected_version: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    register: bool = False


class VariableService:
    """Registers, reads and changes the variables of sessions.

    Args:
        variables: Where they are.
        make_session: Makes a session that something is written into and that is not there; None refuses that.
    """

    def __init__(self, variables: Variables, *, make_session: Callable[[str], object] | None = None) -> None:
        self._variables = variables
        self._make_session = make_session

    def register(
        self,
        session_id: str,
        name: str,
        value: Value,
        *,
        type_text: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> Variable:
        """Make a variable.

        Args:
            session_id: Whose.
            name: Unique in the session.
            value: Its first.
            type_text: In the native syntax; inferred from the value where empty.
            metadata: Whatever the client wants to find again.

        Raises:
            WorkerError: ``invalid_argument``, ``validation_error``, ``constraint_violation``, ``already_exists``,
                ``limit``, or ``not_found``: no such session.
        """
        made = _new(name, value, type_text, metadata or {})

        def change(before: Variable | None) -> Content:
            if before:
                raise WorkerError(
                    f"there is a variable {name!r} in session {session_id!r} already, {before.id}: set it, or choose "
                    "another name.",
                    reason=Reason.ALREADY_EXISTS,
                    field="name",
                )
            return made

        return self._change(session_id, Edit(key=name, change=change, creates=True))

    def get(self, session_id: str, key: str) -> Variable:
        """The variable of that id, else of that name.

        Raises:
            WorkerError: ``not_found``.
        """
        return self._variables.get(session_id, key)

    def set(self, session_id: str, setting: Setting) -> Variable:
        """Give a variable a value.

        Raises:
            WorkerError: ``not_found``, ``validation_error``, ``constraint_violation``, ``stale_version`` or ``limit``.
        """
        return self._change(session_id, _edit(setting))

    def increment(self, session_id: str, key: str, by: Value, *, reason: str = "") -> Variable:
        """Add to a number, in one step.

        Raises:
            WorkerError: As ``set``, and ``validation_error`` where one of the two is no number.
        """

        def change(before: Variable | None) -> Content:
            assert before is not None
            return _with(before, _number(before.value, key) + _number(by, "by"))

        return self._change(session_id, Edit(key=key, change=change, reason=reason))

    def append(self, session_id: str, key: str, items: Sequence[Value], *, reason: str = "") -> Variable:
        """Append items to a list, in one step.

        Raises:
            WorkerError: As ``set``, and ``validation_error`` where the variable holds no list.
        """

        def change(before: Variable | None) -> Content:
            assert before is not None
            if not isinstance(before.value, list):
                raise _not_a("list", before.value, key)
            return _with(before, [*before.value, *items])

        return self._change(session_id, Edit(key=key, change=change, reason=reason))

    def roll_back(
        self, session_id: str, key: str, version: int, *, expected_version: int | None = None, reason: str = ""
    ) -> Variable:
        """Give a variable the value it had at an earlier version, as a new version.

        Raises:
            WorkerError: As ``set``, and ``not_found`` where that version is not kept any more.
        """
        kept = self._variables.history(session_id, key)
        old = next((change for change in kept if change.version == version), None)
        if old is None:
            versions = f"{kept[0].version} to {kept[-1].version}" if kept else "none"
            raise WorkerError(
                f"version {version} of variable {key!r} not found: kept are {versions}.",
                reason=Reason.NOT_FOUND,
                field="version",
            )

        def change(before: Variable | None) -> Content:
            assert before is not None
            return _with(before, old.new)

        reason = reason or f"rolled back to version {version}"
        edit = Edit(key=old.variable_id, change=change, expected_version=expected_version, reason=reason)
        return self._change(session_id, edit)

    def delete(self, session_id: str, key: str, *, expected_version: int | None = None, reason: str = "") -> int:
        """Take a variable away with its history.

        Returns:
            The position of that change.

        Raises:
            WorkerError: ``not_found`` or ``stale_version``.
        """
        edit = Edit(key=key, change=lambda _before: None, expected_version=expected_version, reason=reason)
        (result,) = self._variables.apply(session_id, [edit], atomic=True)
        assert not isinstance(result, WorkerError)
        return result[1]

    def list(self, session_id: str, *, pattern: str, after: str, most: int) -> tuple[Sequence[Variable], str]:
        """A page of variables by name, with the name to go on from, empty after the last.

        Raises:
            WorkerError: ``not_found``: no such session.
        """
        wanted = matcher([pattern] if pattern else [])
        names = [name for name in self._variables.names(session_id) if name > after and wanted(name)]
        found = self._variables.find(session_id, names[:most])
        return list(found.values()), names[most - 1] if len(names) > most else ""

    def history(self, session_id: str, key: str) -> Sequence[Change]:
        """The changes that are kept of a variable, oldest first.

        Raises:
            WorkerError: ``not_found``.
        """
        return self._variables.history(session_id, key)

    def get_many(self, session_id: str, keys: Sequence[str]) -> tuple[Sequence[Variable], Sequence[str]]:
        """The variables there are among the ids and names, in their order, and the keys of those that are not.

        Raises:
            WorkerError: ``not_found``: no such session; ``limit``: too many keys.
        """
        _check_batch(len(keys), "variables")
        found = self._variables.find(session_id, keys)
        return [found[key] for key in keys if key in found], [key for key in keys if key not in found]

    def set_many(
        self, session_id: str, settings: Sequence[Setting], *, atomic: bool
    ) -> Sequence[Variable | WorkerError]:
        """Give many variables their values, in order.

        Args:
            session_id: Whose.
            settings: At most ``MOST_IN_BATCH``.
            atomic: Whether one that is refused refuses all.

        Raises:
            WorkerError: ``not_found``: no such session; ``limit``: too many; where ``atomic``, the first refusal, with
                the item it is about.
        """
        _check_batch(len(settings), "items")
        edits = [_edit(setting) for setting in settings]
        results = self._apply(session_id, edits, atomic=atomic)
        return [each if isinstance(each, WorkerError) else _there(each[0]) for each in results]

    def _change(self, session_id: str, edit: Edit) -> Variable:
        (result,) = self._apply(session_id, [edit], atomic=True)
        assert not isinstance(result, WorkerError)
        return _there(result[0])

    def _apply(
        self, session_id: str, edits: Sequence[Edit], *, atomic: bool
    ) -> Sequence[tuple[Variable | None, int] | WorkerError]:
        try:
            return self._variables.apply(session_id, edits, atomic=atomic)
        except WorkerError as error:
            if self._make_session is None or (error.reason, error.field) != (Reason.NOT_FOUND, "session"):
                raise
        self._make_session(session_id)
        return self._variables.apply(session_id, edits, atomic=atomic)


def _edit(setting: Setting) -> Edit:
    def change(before: Variable | None) -> Content:
        if before is None:
            return _new(setting.variable, setting.value, "", setting.metadata)
        held = _with(before, setting.value)
        if not setting.metadata:
            return held
        return held._replace(metadata=check_metadata({**before.metadata, **setting.metadata}))

    return Edit(
        key=setting.variable,
        change=change,
        creates=setting.register,
        expected_version=setting.expected_version,
        reason=setting.reason,
    )


def _new(name: str, value: Value, type_text: str, metadata: Mapping[str, str]) -> Content:
    check_variable_name(name)
    kind = str(read_type(type_text) if type_text else infer(value))
    return Content(kind, hold(kind, name, value), check_metadata(metadata))


def _with(variable: Variable, value: Value) -> Content:
    return Content(variable.type, hold(variable.type, variable.name, value), variable.metadata)


def _number(value: Value, name: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _not_a("number", value, name)
    return value


def _not_a(what: str, value: Value, name: str) -> WorkerError:
    return WorkerError(
        f"Cannot convert {excerpt(value, length=80)} to a {what}: {name!r} must be one.",
        reason=Reason.VALIDATION_ERROR,
        field=name,
    )


def _there(variable: Variable | None) -> Variable:
    assert variable is not None  # only a deletion leaves none
    return variable


def _check_batch(count: int, field_name: str) -> None:
    if count > MOST_IN_BATCH:
        raise WorkerError(
            f"a batch of {count}: at most {MOST_IN_BATCH} go at once; send several.",
            reason=Reason.LIMIT,
            field=field_name,
        )

"""The test that owns a call, in the call's metadata. docs/worker.md lists the keys for clients in any language."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

import lmtest
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.nearest import did_you_mean
from python_worker.domain.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PREFIX: Final = "lmtest-"
TEST: Final = "lmtest-test"
CASSETTE: Final = "lmtest-cassette"
REFRESH: Final = "lmtest-refresh"
TO: Final = "lmtest-to"
OPTIONS: Final = "lmtest-options-bin"
MOST_OPTIONS: Final = 32 * 1024
"""Bytes of the options, as JSON."""

MOST_METADATA: Final = 80 * 1024
"""Bytes of a call's metadata that a server must take for them: base64 makes four of three."""

_LONGEST: Final = 2_000
_PLAIN: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def owner_from_metadata(metadata: Iterable[tuple[str, str | bytes]], *, asked_by: str = "") -> Owner | None:
    """The test that a call's metadata names; None where it names none.

    Raises:
        WorkerError: ``invalid_argument``, with the key as its field.
    """
    said = {key: value for key, value in metadata if key.startswith(PREFIX)}
    if said.keys() <= {REFRESH}:
        return None
    for key in said:
        if key not in _READERS:
            raise _refused(key, f"there is no such key.{did_you_mean(key, _READERS)} There are {', '.join(_READERS)}")
    if TEST not in said:
        raise _refused(TEST, f"it is missing, and {', '.join(sorted(said))} is about a test: name it")
    given: dict[str, Any] = {}
    for key, value in said.items():
        name, read = _READERS[key]
        given[name] = read(key, value)
    if not given["test"].strip():
        raise _refused(TEST, "it is empty: give the test's id")
    return Owner(**given, asked_by=asked_by)


def refresh_from_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> bool:
    """Whether a call's metadata asks for the execution's own cassette to be recorded anew, beside what is there.

    Raises:
        WorkerError: ``invalid_argument``, with the key as its field: it does not read, or a test asks.

    >>> refresh_from_metadata([("lmtest-refresh", "true")])
    True
    """
    said = {key: value for key, value in metadata if key.startswith(PREFIX)}
    if REFRESH not in said:
        return False
    if len(said) > 1:
        raise _refused(REFRESH, "the cassette of a test is recorded anew by its lmtest-mode, refresh: leave this out")
    return _flag(REFRESH, said[REFRESH])


def owner_to_metadata(owner: Owner) -> tuple[tuple[str, str | bytes], ...]:
    """The metadata that names a test.

    Raises:
        WorkerError: ``invalid_argument``: its options are too many.

    >>> owner_to_metadata(Owner(test="test_qa.py::test_é", mode="record"))
    (('lmtest-test', 'test_qa.py::test_%C3%A9'), ('lmtest-mode', 'record'))
    """
    texts = {
        TEST: owner.test,
        CASSETTE: owner.cassette,
        "lmtest-mode": owner.mode,
        "lmtest-run": owner.run,
        "lmtest-sample": "" if owner.sample is None else str(owner.sample),
        "lmtest-command": owner.command,
        "lmtest-allow-misses": "true" if owner.allow_misses else "",
        "lmtest-keep-others": "true" if owner.keep_others else "",
        "lmtest-opening": owner.shares,
        TO: owner.to,
    }
    told: list[tuple[str, str | bytes]] = [(key, _quoted(text)) for key, text in texts.items() if text]
    if owner.options:
        options = json.dumps(dict(owner.options), separators=(",", ":")).encode()
        _check_size(options)
        told.append((OPTIONS, options))
    return tuple(told)


def _quoted(text: str) -> str:
    plain = text.isascii() and text.isprintable() and "%" not in text
    return text if plain else quote(text, safe=_PLAIN)


def _text(key: str, value: str | bytes) -> str:
    text = value if isinstance(value, str) else value.decode(errors="replace")
    try:
        text = unquote(text, errors="strict") if "%" in text else text
    except UnicodeDecodeError as error:
        raise _refused(key, "its percent signs do not read as UTF-8: write a percent sign as %25") from error
    if len(text) > _LONGEST:
        raise _refused(key, f"it has {len(text):,} characters, and may have {_LONGEST:,}")
    if not text.isprintable():
        raise _refused(key, "it has a character that cannot be printed")
    return text


def _mode(key: str, value: str | bytes) -> str:
    try:
        return lmtest.Mode.parse(_text(key, value), source="it").value
    except lmtest.ConfigurationError as error:
        raise _refused(key, str(error).removesuffix(".")) from error


def _flag(key: str, value: str | bytes) -> bool:
    text = _text(key, value).lower()
    if text not in {"true", "false"}:
        raise _refused(key, f"it is {text[:40]!r}, and can be true or false")
    return text == "true"


def _number(key: str, value: str | bytes) -> int:
    text = _text(key, value)
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise _refused(key, f"it is {text[:40]!r}, and can be 0, 1, 2 and so on")
    return int(text)


def _object(key: str, value: str | bytes) -> dict[str, Any]:
    data = value if isinstance(value, bytes) else value.encode()
    _check_size(data)
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _refused(key, f"it does not read as JSON: {error}") from error
    if not isinstance(told, dict):
        raise _refused(key, "it is no JSON object")
    return told


def _check_size(options: bytes) -> None:
    if len(options) > MOST_OPTIONS:
        raise _refused(
            OPTIONS,
            f"the test's options, its rules among them, have {len(options):,} bytes as JSON, and may have "
            f"{MOST_OPTIONS:,}: give fewer rules, or shorter replies",
        )


def _refused(key: str, why: str) -> WorkerError:
    return WorkerError(f"the metadata {key[:60]!r}: {why}.", reason=Reason.INVALID_ARGUMENT, field=key[:60])


_READERS: Final[dict[str, tuple[str, Callable[[str, str | bytes], Any]]]] = {
    TEST: ("test", _text),
    CASSETTE: ("cassette", _text),
    "lmtest-mode": ("mode", _mode),
    "lmtest-run": ("run", _text),
    "lmtest-sample": ("sample", _number),
    "lmtest-command": ("command", _text),
    "lmtest-allow-misses": ("allow_misses", _flag),
    "lmtest-keep-others": ("keep_others", _flag),
    "lmtest-opening": ("shares", _text),
    TO: ("to", _text),
    OPTIONS: ("options", _object),
}

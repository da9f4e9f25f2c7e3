"""The settings of a worker, checked before anything is opened or written."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import lmtest
from python_worker.security import exposure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from python_worker.domain.access import Tokens
    from python_worker.security import Certificates

DEFAULT_MODEL = "gemini/gemini-2.5-flash"

_KEYS = {"gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY")} | {
    provider: (f"{provider.upper()}_API_KEY",)
    for provider in ("anthropic", "deepseek", "groq", "mistral", "openai", "openrouter", "xai")
}
"""Where DSPy looks for the key of a provider; others, such as a local one, may need none."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What ``python -m python_worker serve`` was told.

    Attributes:
        mode: Who answers the models' calls.
        cassette_dir: Where cassettes are.
        model: The model of programs that name none.
        api_base: Where the provider is; None for its own address.
        data_dir: Where SQLite keeps its file.
        database_url: The database instead of that file, or None.
        host: The address to listen on.
        port: 0 takes a free one.
        threads: How many programs run at once.
        max_waiting: How many more executions may be under way; each holds a thread.
        adapters: Where programs run, the first that can.
        default_timeout: Seconds an execution may take that asks for nothing else.
        grace: Seconds that calls under way get when the worker is told to stop.
        reflection: Whether clients may ask for the contract itself.
        max_sessions: How many sessions there may be.
        session_ttl: Seconds a session lives unused whose creator does not say; None until it is ended.
        implicit_sessions: Whether writing into a session that is not there makes it.
        max_variables: How many variables a session may hold.
        max_value_bytes: How big a variable's value may be.
        max_message_bytes: How big a message may be.
        max_watchers: How many streams may watch; each holds a thread.
        keepalive: Seconds after which a connection is asked whether it lives.
        keepalive_timeout: Seconds it has for an answer.
        max_tool_clients: How many clients may serve tools; each holds two threads.
        certificates: For TLS; None serves in the clear.
        tokens: Who may do what; None asks nobody.
        insecure: Whether it may listen beyond loopback without knowing who calls, or in the clear.
        allow_imports: What clients may name by import path: ``package.module:name``, with ``*`` and ``?``.
        audit_values: Whether the audit trail tells inputs and outputs by value too, not by hash alone.
    """

    mode: lmtest.Mode
    cassette_dir: Path
    data_dir: Path
    model: str = DEFAULT_MODEL
    api_base: str | None = None
    database_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    threads: int = 8
    max_waiting: int = 500
    adapters: tuple[str, ...] = ("inline",)
    default_timeout: float = 30.0
    grace: float = 10.0
    reflection: bool = False
    max_sessions: int = 10_000
    session_ttl: float | None = None
    implicit_sessions: bool = False
    max_variables: int = 10_000
    max_value_bytes: int = 4 * 1024 * 1024
    max_message_bytes: int = 32 * 1024 * 1024
    max_watchers: int = 1_000
    keepalive: float = 30.0
    keepalive_timeout: float = 10.0
    max_tool_clients: int = 100
    certificates: Certificates | None = None
    tokens: Tokens | None = None
    insecure: bool = False
    allow_imports: tuple[str, ...] = ()
    audit_values: bool = False

    @property
    def exposure(self) -> str:
        """What listening on its address lays open; see `python_worker.security.exposure`."""
        return exposure(self.host, tokens=self.tokens is not None, certificates=self.certificates)

    def check(self, environ: Mapping[str, str]) -> None:
        """See that the mode can work here.

        Raises:
            lmtest.ConfigurationError: It cannot; the message says what is missing.
        """
        if self.exposure and not self.insecure:
            raise lmtest.ConfigurationError(
                f"{self.exposure}; listen on 127.0.0.1; or say --insecure where the network keeps others out."
            )
        if not self.model.strip():
            raise lmtest.ConfigurationError(
                "--model is empty, and programs that name no model would have none: name one, such as "
                f"{DEFAULT_MODEL!r}."
            )
        for pattern in self.allow_imports:
            if pattern.count(":") != 1 or not all(pattern.split(":")):
                raise lmtest.ConfigurationError(
                    f"--allow-import {pattern!r} allows nothing: write 'package.module:name', or 'package.module:*'."
                )
        if self.mode is lmtest.Mode.REPLAY and not self.cassette_dir.is_dir():
            raise lmtest.ConfigurationError(
                f"--cassette-dir {str(self.cassette_dir)!r} is no directory, and replay answers from it: "
                "record it first with --lm-mode record, or name the one that has the cassettes."
            )
        # In auto, all may be recorded already; a call that is not says so itself, before it is sent.
        if self.mode.writes and self.mode is not lmtest.Mode.AUTO:
            _check_writable(self.cassette_dir, self.mode)
        # In auto, what is recorded needs no key; a call that is not says so itself.
        if not self.mode.offline and self.mode is not lmtest.Mode.AUTO:
            _check_key(self.model, self.mode, environ)
            _check_limits(environ)


def _check_writable(folder: Path, mode: lmtest.Mode) -> None:
    try:
        with tempfile.TemporaryFile(dir=next(each for each in (folder, *folder.absolute().parents) if each.exists())):
            pass
    except OSError as error:
        raise lmtest.ConfigurationError(
            f"mode {mode.value} writes cassettes to --cassette-dir {str(folder)!r}, which cannot be written: "
            f"{error.strerror or error}. Name another, or give the right to write."
        ) from error


def _check_key(model: str, mode: lmtest.Mode, environ: Mapping[str, str]) -> None:
    names = _KEYS.get(model.partition("/")[0], ())
    if names and not any(environ.get(name) for name in names):
        raise lmtest.ConfigurationError(
            f"mode {mode.value} calls {model}, and {' or '.join(names)} is not set: set it, or use replay or mock."
        )


def _check_limits(environ: Mapping[str, str]) -> None:
    limits = lmtest.Limits.from_environ(environ)
    if any(each.held("usd_per_test") is not None for each in (limits, *limits.by_model.values())):
        raise lmtest.ConfigurationError(
            "usd_per_test limits single tests, and a worker's executions belong to none: it would hold nothing. Set "
            "usd_per_run, and lift this one: --limit usd_per_test=none."
        )

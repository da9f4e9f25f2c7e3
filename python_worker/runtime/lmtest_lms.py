"""Language models under lmtest: mocked, replayed, recorded or live."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import lmtest
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.recording import Recording, Refreshed
from python_worker.domain.session import SessionLimits
from python_worker.domain.stage import LMCall, ToolUse
from python_worker.domain.value import fingerprint, plain
from python_worker.runtime.cassette_names import find_cassette
from python_worker.runtime.failures import from_here
from python_worker.runtime.owned import OwnedCassettes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    import dspy

    from python_worker.domain.owner import Owner
    from python_worker.domain.program import ProgramConfig
    from python_worker.domain.session import SessionLM
    from python_worker.domain.value import Fields

MAX_MODELS = 64

_NO_LIMITS = SessionLimits()

_RECORDING = "execute it on a worker that was started with --lm-mode record"


class LmtestLMs:
    """``LMs`` whose calls are answered as an lmtest mode says, each execution from a cassette of its own.

    An execution that a test asks for plays from that test's cassette and records into it, as all of the test's do. Any
    other has the cassette ``<cassette_dir>/<program>/<first 12 digits of its inputs' SHA-256>.yaml``, or a name with
    words of the inputs (:mod:`python_worker.runtime.cassette_names`): the same program asked the same thing plays the
    same file, whoever asks and whenever. Its header tells what was executed.

    Args:
        mode: Who answers.
        cassette_dir: Where cassettes are.
        model: The model of a program that names none.
        api_base: Where the provider is; None for the provider's own address.
        values: Whether names and headers of cassettes may tell the inputs, redacted, and not by hash alone.
    """

    def __init__(
        self,
        *,
        mode: lmtest.Mode,
        cassette_dir: Path,
        model: str,
        api_base: str | None = None,
        values: bool = False,
    ) -> None:
        self._mode = mode
        self._cassette_dir = cassette_dir
        self._model = model
        self._api_base = api_base
        self._values = values
        self._owned = OwnedCassettes(cassette_dir)
        self._models: dict[tuple[str, float | None, int | None], dspy.LM] = {}
        self._lock = threading.Lock()

    def check(self, session: SessionLM) -> None:
        """See that a session can have what it asks for.

        An offline worker keeps its whole process off the network, so its sessions stay offline too; and the cassettes
        of a session lie below the worker's own, so that no client names a file elsewhere.
        """
        try:
            mode = self._mode_of(session)
            _limits(session)
        except (lmtest.LMTestError, ValueError) as error:
            raise WorkerError(str(error), reason=Reason.INVALID_ARGUMENT, field="lm") from error
        if mode in {lmtest.Mode.AUTO, lmtest.Mode.REFRESH}:
            raise WorkerError(
                f"a session cannot have mode {mode.value}: use record, live, replay or mock.",
                reason=Reason.CONFIGURATION,
                field="lm.mode",
            )
        if self._mode.offline and not mode.offline:
            raise WorkerError(
                f"this worker runs in mode {self._mode.value}, off the network: a session can have mock or replay, "
                f"not {mode.value}. Start a worker with --lm-mode {mode.value}.",
                reason=Reason.CONFIGURATION,
                field="lm.mode",
            )
        self._folder(session)

    def spends(self, session: SessionLM) -> bool:
        """Whether calls of a session may cost money."""
        return not self._mode_of(session).offline

    def budget_left(self, config: ProgramConfig, session: SessionLM) -> Decimal | None:
        """USD that a program's calls in a session may still cost; None where no budget holds them, or none is sent."""
        if not self.spends(session):
            return None
        try:
            return lmtest.budget_left(self._model_of(config, session), tighter=_limits(session))
        except lmtest.LMTestError as error:
            raise WorkerError(str(error), reason=Reason.CONFIGURATION) from error

    def lm(self, config: ProgramConfig, session: SessionLM) -> dspy.LM:
        """The model of a program in a session; programs of equal settings share one, with its connections."""
        settings = (self._model_of(config, session), config.temperature, config.max_tokens)
        with self._lock:
            if settings not in self._models:
                if len(self._models) >= MAX_MODELS:
                    self._models.pop(next(iter(self._models)))
                self._models[settings] = self._create(*settings)
            return self._models[settings]

    @contextmanager
    def scope(
        self,
        program_name: str,
        inputs: Fields,
        session: SessionLM,
        *,
        execution_id: str,
        stop: lmtest.Stop | None = None,
        owner: Owner | None = None,
        executed: Mapping[str, Any] | None = None,
    ) -> Iterator[_CassetteScope]:
        """Open the cassette of a program and its inputs, or that of the test that asks; the ledger's rows name both."""
        if owner is not None:
            with self._of_test(owner, session).block(
                test=owner.test,
                execution=execution_id,
                tighter=_limits(session),
                stop=stop,
                allow_misses=owner.allow_misses,
            ) as cassette:
                yield _CassetteScope(cassette, self._cassette_dir)
            return
        path = self.cassette_path(program_name, inputs, session)
        mode = self._mode_of(session)
        if mode is lmtest.Mode.REFRESH and self._mode.offline:
            raise self._offline("a cassette is to be recorded anew", field="lmtest-refresh")
        opened = lmtest.use_cassette(
            path,
            # As a flag, which wins over LM_MODE: a worker was told its mode when it was started.
            flag=mode.value,
            tighter=_limits(session),
            execution=execution_id,
            command=_RECORDING,
            stop=stop,
            executed={**(executed or {"program": program_name}), **self._told(inputs)} if mode.writes else None,
        )
        scope: _CassetteScope | None = None
        unwanted: Exception | None = None
        before = self._refreshed(path) if mode is lmtest.Mode.REFRESH else None
        try:
            with opened as cassette:
                scope = _CassetteScope(cassette, self._cassette_dir)
                try:
                    yield scope
                except Exception as error:
                    if stop is not None and stop.called:
                        raise _GivenUp(error) from error
                    raise
        except _GivenUp as given_up:
            unwanted = given_up.error
        finally:
            if scope and before:
                now = self._refreshed(path)
                scope.refreshed = now if now != before else Refreshed(path=now.path)
        if unwanted:
            raise unwanted  # here, where its own causes stay

    def _told(self, inputs: Fields) -> dict[str, Any]:
        """What a header tells of inputs."""
        values = {"inputs": lmtest.redact(plain(inputs))} if self._values else {}
        return {"inputs_sha256": fingerprint(inputs), **values}

    def _refreshed(self, path: Path) -> Refreshed:
        """What a refresh wrote beside a cassette, this one or an earlier one."""
        for suffix, well in ((".new.yaml", True), (".failed.yaml", False)):
            with contextlib.suppress(FileNotFoundError):
                written = path.with_suffix(suffix).read_bytes()
                return Refreshed(
                    path=_below(path, self._cassette_dir), sha256=hashlib.sha256(written).hexdigest(), ended_well=well
                )
        return Refreshed(path=_below(path, self._cassette_dir))

    def close_owned(self, owner: Owner, *, failed: str, keep_open: bool) -> list[lmtest.CassetteReport]:
        """Save what was recorded for a test, unless it failed, and tell what was done."""
        return self._owned.close(owner, failed=failed, keep_open=keep_open)

    def close(self) -> None:
        """Let go of what is open."""
        self._owned.abandon()

    def _of_test(self, owner: Owner, session: SessionLM) -> lmtest.SharedCassette:
        mode = self._mode_of(session)
        if self._mode.offline and not mode.offline:
            raise self._offline(f"{owner.test} asks for {mode.value}", mode, field="lmtest-mode")
        return self._owned.get(owner, mode=mode)

    def _offline(self, wanted: str, mode: lmtest.Mode = lmtest.Mode.RECORD, *, field: str) -> WorkerError:
        return WorkerError(
            f"this worker runs in mode {self._mode.value}, off the network, and {wanted}. Start a worker with "
            f"--lm-mode {mode.value}, or with LM_MODE={mode.value}.",
            reason=Reason.CONFIGURATION,
            field=field,
        )

    def cassette_path(self, program_name: str, inputs: Fields, session: SessionLM) -> Path:
        """Where the answers to these inputs are, or will be."""
        folder = self._folder(session) / program_name
        return find_cassette(folder, inputs, redact=lmtest.redact, telling=self._values)

    def _mode_of(self, session: SessionLM) -> lmtest.Mode:
        return lmtest.Mode.parse(session.mode, source="lm.mode") if session.mode else self._mode

    def _model_of(self, config: ProgramConfig, session: SessionLM) -> str:
        return config.model or session.model or self._model

    def _folder(self, session: SessionLM) -> Path:
        if not session.cassette_dir:
            return self._cassette_dir
        given = PurePosixPath(session.cassette_dir)
        if given.is_absolute() or ".." in given.parts or "\0" in session.cassette_dir:
            raise WorkerError(
                f"cassette_dir {session.cassette_dir!r} leaves the worker's own: name a directory below it, such as "
                "'users/ada'.",
                reason=Reason.INVALID_ARGUMENT,
                field="lm.cassette_dir",
            )
        return self._cassette_dir / given

    def _create(self, model: str, temperature: float | None, max_tokens: int | None) -> dspy.LM:
        from python_worker.runtime.last_words import HeardLM

        settings: dict[str, Any] = {"api_base": self._api_base, "temperature": temperature, "max_tokens": max_tokens}
        given = {name: value for name, value in settings.items() if value is not None}
        # Tried again by the executor, which waits without a thread and knows the deadline; DSPy would sleep in one.
        return HeardLM(model, num_retries=0, **given)


def _limits(session: SessionLM) -> lmtest.Limits | None:
    if session.limits == _NO_LIMITS:
        return None
    given = {name: value for name, value in asdict(session.limits).items() if value is not None}
    return lmtest.Limits(**given)


def _below(path: Path, folder: Path) -> str:
    """A cassette's path from the directory of all."""
    path, folder = path.absolute(), folder.absolute()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _recording(call: lmtest.Call, folder: Path) -> Recording | None:
    """The recording that a call played, where there is one: an embedding may be put together from several."""
    if not (call.digest and call.cassette):
        return None
    recorded_at = call.recorded_at or ""
    return Recording(
        path=_below(call.cassette, folder), digest=call.digest, recorded_at=recorded_at, age=_age(recorded_at)
    )


def _age(recorded_at: str) -> float | None:
    try:
        return round((datetime.now(UTC) - datetime.fromisoformat(recorded_at)).total_seconds(), 3)
    except (ValueError, TypeError):  # written by hand, or without a zone
        return None


class _GivenUp(BaseException):
    """Ends a scope of which nobody waits for the end, as Ctrl-C would: no answer failed, so none is kept as failed."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _CassetteScope:
    def __init__(self, cassette: lmtest.Cassette, folder: Path) -> None:
        self._cassette = cassette
        self._folder = folder
        self.refreshed: Refreshed | None = None

    @property
    def calls(self) -> tuple[LMCall, ...]:
        return tuple(
            LMCall(
                key=call.key,
                hit=call.hit,
                model=call.model,
                input_tokens=call.usage.input_tokens,
                output_tokens=call.usage.output_tokens,
                cost=call.cost,
                cassette=from_here(call.cassette) if call.cassette else None,
                latency=call.latency,
                recording=_recording(call, self._folder),
            )
            for call in self._cassette.calls
            if not call.tool
        )

    @property
    def tools(self) -> tuple[ToolUse, ...]:
        return tuple(
            ToolUse(tool=call.tool, hit=call.hit, key=call.key, error=call.failed or "", latency=call.latency)
            for call in self._cassette.calls
            if call.tool
        )

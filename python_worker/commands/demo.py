"""``lmtest demo``: two DSPy programs recorded through a worker, replayed offline, audited and billed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

import lmtest
from python_worker.extra import MissingExtra, needed_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from python_worker.client import Client
    from python_worker.domain.execution import Execution
    from python_worker.domain.value import Value

_HOME = Path(".lmtest/demo")
_CASSETTES = _HOME / "cassettes"
_BUDGET = "0.05"
_NOWHERE = "http://127.0.0.1:9/v1beta"
_PATIENCE = 60  # seconds that a process may take to be ready

_QUESTION_ANSWERING = "signature question_answering: :string question -> :string answer, :confidence_score confidence"
_REASONING = """
signature multi_step_reasoning:
    :string problem, :list(:string) facts
    -> :list(:string) thoughts, :string conclusion, :confidence_score confidence
"""
_RUNS: dict[str, dict[str, Value]] = {
    "qa": {"question": "What is the capital of France?"},
    "reasoner": {
        "problem": "Can the train from Paris reach Madrid before noon?",
        "facts": ["It leaves Paris at six.", "The journey takes nine hours."],
    },
}


@click.command()
def command() -> None:
    """Record two DSPy programs, replay them offline, read the audit trail and the bill.

    Without a key they talk to `lmtest serve` on this machine, whose answers are made up and say so. With GEMINI_API_KEY
    set, LM_MODE=record asks Gemini instead, under a budget of $0.05. Everything is written under .lmtest/demo.
    """
    live = os.environ.get("LM_MODE") == "record" and bool(os.environ.get("GEMINI_API_KEY"))
    try:
        with needed_by("lmtest demo"):
            import grpc  # noqa: F401 - what is missing is named before anything is begun

            if not live:
                import uvicorn  # noqa: F401 - of lmtest serve
    except MissingExtra as error:
        raise lmtest.ConfigurationError(str(error).replace("[worker]", "[http,worker]")) from error
    try:
        shutil.rmtree(_HOME, ignore_errors=True)
        _HOME.mkdir(parents=True)
    except OSError as error:
        raise lmtest.ConfigurationError(
            f"{_HOME.resolve()} cannot be written: {error.strerror}. Run lmtest demo in a directory of yours."
        ) from error
    if not Demo.on_this_terminal().run(live=live):
        sys.exit(lmtest.Exit.FOUND)


@dataclass(frozen=True)
class Demo:
    """The story, told on a console.

    Attributes:
        console: Where it is told.
    """

    console: Console

    @classmethod
    def on_this_terminal(cls) -> Self:
        """Tell it on stdout, in lines that a person reads without turning the head."""
        from rich.console import Console

        return cls(Console(highlight=False, emoji=False, width=min(Console().width, 110)))

    def run(self, *, live: bool) -> bool:
        """Tell all of it; whether replay gave what was recorded and the changed prompt was missed."""
        provider = f"Gemini, under a budget of ${_BUDGET}" if live else "a stand-in server (no key needed)"
        with contextlib.ExitStack() as processes:
            # Each imports DSPy, which takes most of the time: so both at once.
            api_base = None if live else processes.enter_context(_stand_in())
            recorder = processes.enter_context(_worker("record", api_base))
            replayer = processes.enter_context(_worker("replay", _NOWHERE))
            self._step(1, f"Record, from {provider}")
            with recorder.client() as client:
                recorded = {name: client.execute(name, inputs) for name, inputs in _create(client)}
            for name, execution in recorded.items():
                self._outputs(name, execution)
            recorder.stop()
            self._step(2, "Replay: the network is blocked, there is no key")
            with replayer.client() as client:
                replayed = {name: client.execute(name, inputs) for name, inputs in _create(client)}
                same = all(replayed[name].outputs == recorded[name].outputs for name in _RUNS)
                self.console.print(f"  The same answers as recorded: [bold]{'yes' if same else 'NO'}[/]")
                self._step(3, "The audit trail of the replayed reasoning")
                self._audit(replayed["reasoner"])
                self._step(4, "Change one word of a prompt, and the miss shows which")
                missed = self._miss(client)
            replayer.stop()
        self._step(5, "What it cost, and what replay saved")
        self.console.file.flush()
        subprocess.run([sys.executable, "-m", "lmtest", "cost-report", "--by", "model"], env=_environ(), check=True)
        self.console.print(f"\nThe recordings are in {_CASSETTES}/, as a reviewer would read them. Next: {_next()}")
        return same and missed

    def _step(self, number: int, title: str) -> None:
        self.console.print(f"\n[bold cyan]{number}. {title}[/]")

    def _outputs(self, name: str, execution: Execution) -> None:
        from rich.markup import escape

        self.console.print(f"  [bold]{name}[/]")
        for field, value in execution.outputs.items():
            self.console.print(f"    {field}: {escape(str(value))}")

    def _audit(self, execution: Execution) -> None:
        """Show the stages of an execution, and the model calls under the one that made them."""
        for record in execution.stages:
            milliseconds = f"{record.duration * 1000:8.2f} ms"
            self.console.print(f"  {record.stage.value:<22} {record.status.value:<5} {milliseconds}")
            for call in record.calls:
                tokens = f"{call.input_tokens}+{call.output_tokens} tokens"
                answered = f"answered by {call.hit}, {tokens}, ${call.cost}, key {call.key[:12]}"
                self.console.print(f"    └ {call.model}, {answered}")

    def _miss(self, client: Client) -> bool:
        """Reword a recorded program's instructions, ask the same question, and show the miss; whether it was one."""
        from rich.markup import escape

        from python_worker.client import WorkerError

        reworded = _QUESTION_ANSWERING.replace("question_answering", "reworded")
        client.create_signature(reworded, description="Answer the riddle.")
        client.create_program("reworded", signature="reworded", module="Predict", max_tokens=800)
        shutil.copytree(_CASSETTES / "qa", _CASSETTES / "reworded")
        try:
            client.execute("reworded", _RUNS["qa"])
        except WorkerError as error:
            shown = "\n".join(f"  {line}" for line in str(error).splitlines())
            self.console.print(f"[yellow]{escape(shown)}[/]")
            return True
        return False


@dataclass(frozen=True)
class _Started:
    """A worker in a process of its own."""

    process: subprocess.Popen[str]
    log: Path

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        """Connect when it is ready."""
        from python_worker.client import connect

        assert self.process.stdout is not None
        ready = self.process.stdout.readline().strip()
        if not ready.startswith("GRPC_READY:"):
            raise lmtest.ConfigurationError(f"the worker did not start:\n{self.log.read_text()}")
        with connect(f"127.0.0.1:{ready.removeprefix('GRPC_READY:')}") as client:
            yield client

    def stop(self) -> None:
        """Ask it to end; the block that started it waits."""
        self.process.terminate()


@contextlib.contextmanager
def _worker(mode: str, api_base: str | None) -> Iterator[_Started]:
    command = [sys.executable, "-m", "python_worker", "serve", "--port", "0", "--lm-mode", mode]
    command += ["--cassette-dir", str(_CASSETTES), "--data-dir", str(_HOME / mode)]
    command += ["--api-base", api_base] if api_base else []
    _CASSETTES.mkdir(exist_ok=True)
    log = _HOME / f"{mode}.log"
    with (
        log.open("w") as stderr,
        _process(command, stdout=subprocess.PIPE, stderr=stderr, env=_environ(mode)) as worker,
    ):
        yield _Started(worker, log)


@contextlib.contextmanager
def _stand_in() -> Iterator[str]:
    """Run `lmtest serve` until the block ends; give the base URL that a program is to use."""
    port, log = _HOME / "port", _HOME / "serve.log"
    command = [sys.executable, "-m", "lmtest", "serve", "--port-file", str(port)]
    with log.open("w") as out, _process(command, stdout=out, stderr=subprocess.STDOUT) as server:
        patience = time.monotonic() + _PATIENCE
        while not port.exists():
            if server.poll() is not None or time.monotonic() > patience:
                raise lmtest.ConfigurationError(f"lmtest serve did not start:\n{log.read_text()}")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port.read_text().strip()}/v1beta"


@contextlib.contextmanager
def _process(command: list[str], **how: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, text=True, **how) as process:  # type: ignore[call-overload] # noqa: S603 - our own
        try:
            yield process
        finally:
            process.terminate()


def _create(client: Client) -> Iterator[tuple[str, dict[str, Value]]]:
    """Create both programs on a worker; give each with its inputs."""
    client.create_signature(_QUESTION_ANSWERING, description="Answer the question.")
    client.create_signature(_REASONING, description="Think step by step, then conclude.")
    client.create_program("qa", signature="question_answering", module="Predict", max_tokens=800)
    client.create_program("reasoner", signature="multi_step_reasoning", module="ChainOfThought", max_tokens=800)
    yield from _RUNS.items()


def _environ(mode: str = "replay") -> dict[str, str]:
    """One run, one ledger; a key only where something is called live."""
    environ = {**os.environ, "LMTEST_LEDGER": str(_HOME / "ledger.sqlite3"), "LMTEST_RUN": "demo"}
    environ |= {"LMTEST_USD_PER_RUN": _BUDGET, "LITELLM_LOCAL_MODEL_COST_MAP": "true"}
    environ.pop("LM_MODE", None)
    if mode == "record":
        environ.setdefault("GEMINI_API_KEY", "any-key-will-do-for-the-stand-in")
    else:
        environ.pop("GEMINI_API_KEY", None)
    return environ


def _next() -> str:
    """Name what to try then: the example suite of a clone, else the first step in a project."""
    if Path("examples/qa").is_dir():
        return f"{os.path.relpath(Path(sys.executable).with_name('pytest'))} examples/qa"
    return "mark a test of yours with @pytest.mark.lmtest, and LM_MODE=record pytest"

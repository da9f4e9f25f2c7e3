"""lmtest in a minute: record two DSPy programs through the worker, replay them offline, read the audit and the bill.

Without a key the programs talk to a stand-in server on this machine, whose answers are made up and say so. With
GEMINI_API_KEY set, ``LM_MODE=record make demo`` asks Gemini instead, under a budget of $0.05.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from lmtest.http.server import StandIn
from python_worker.client import Client, WorkerError, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_worker.domain.execution import Execution

HOME = Path(".lmtest/demo")
CASSETTES = HOME / "cassettes"
BUDGET = "0.05"

QUESTION_ANSWERING = "signature question_answering: :string question -> :string answer, :confidence_score confidence"
REASONING = """
signature multi_step_reasoning:
    :string problem, :list(:string) facts
    -> :list(:string) thoughts, :string conclusion, :confidence_score confidence
"""
RUNS = {
    "qa": {"question": "What is the capital of France?"},
    "reasoner": {
        "problem": "Can the train from Paris reach Madrid before noon?",
        "facts": ["It leaves Paris at six.", "The journey takes nine hours."],
    },
}

console = Console(highlight=False, width=min(Console().width, 110))


def main() -> int:
    """Run the whole story; 0 when replay gave what was recorded and the changed prompt was missed."""
    shutil.rmtree(HOME, ignore_errors=True)
    live = os.environ.get("LM_MODE") == "record" and bool(os.environ.get("GEMINI_API_KEY"))
    with contextlib.ExitStack() as provider:
        api_base = None if live else f"{provider.enter_context(StandIn()).url}/v1beta"
        step(
            1, f"Record, from {'Gemini, under a budget of $' + BUDGET if live else 'a stand-in server (no key needed)'}"
        )
        with worker("record", api_base) as client:
            recorded = {name: client.execute(name, inputs) for name, inputs in create(client)}
        show(recorded)
    step(2, "Replay: the server is stopped, the network is blocked, there is no key")
    with worker("replay", api_base="http://127.0.0.1:9/v1beta") as client:
        replayed = {name: client.execute(name, inputs) for name, inputs in create(client)}
        same = all(replayed[name].outputs == recorded[name].outputs for name in RUNS)
        console.print(f"  The same answers as recorded: [bold]{'yes' if same else 'NO'}[/]")
        step(3, "The audit trail of the replayed reasoning")
        audit(replayed["reasoner"])
        step(4, "Change one word of a prompt, and the miss tells you which")
        missed = miss(client)
    step(5, "What it cost, and what replay saved")
    console.file.flush()
    subprocess.run([sys.executable, "-m", "lmtest", "cost-report", "--by", "model"], env=environment(), check=True)
    console.print(
        f"\nThe recordings are in {CASSETTES}/, as a reviewer would read them. Next: .venv/bin/pytest examples/qa"
    )
    return 0 if same and missed else 1


def create(client: Client) -> Iterator[tuple[str, dict[str, object]]]:
    """Create both programs on a worker; give each with its inputs."""
    client.create_signature(QUESTION_ANSWERING, description="Answer the question.")
    client.create_signature(REASONING, description="Think step by step, then conclude.")
    client.create_program("qa", signature="question_answering", module="Predict", max_tokens=800)
    client.create_program("reasoner", signature="multi_step_reasoning", module="ChainOfThought", max_tokens=800)
    yield from RUNS.items()


def miss(client: Client) -> bool:
    """Reword the instructions of a recorded program and ask the same question; say whether that was missed."""
    client.create_signature(
        QUESTION_ANSWERING.replace("question_answering", "reworded"), description="Answer the riddle."
    )
    client.create_program("reworded", signature="reworded", module="Predict", max_tokens=800)
    shutil.copytree(CASSETTES / "qa", CASSETTES / "reworded")
    try:
        client.execute("reworded", RUNS["qa"])
    except WorkerError as error:
        console.print(f"[yellow]{escape(indented(str(error)))}[/]")
        return True
    return False


@contextlib.contextmanager
def worker(mode: str, api_base: str | None) -> Iterator[Client]:
    """A worker in a process of its own, until the block ends."""
    command = [sys.executable, "-m", "python_worker", "serve", "--port", "0", "--lm-mode", mode]
    command += ["--cassette-dir", str(CASSETTES), "--data-dir", str(HOME / mode)]
    command += ["--api-base", api_base] if api_base else []
    log = HOME / f"{mode}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment(mode)) as process,
    ):
        try:
            assert process.stdout is not None
            ready = process.stdout.readline().strip()
            if not ready.startswith("GRPC_READY:"):
                sys.exit(f"The worker did not start:\n{log.read_text()}")
            with connect(f"127.0.0.1:{ready.removeprefix('GRPC_READY:')}") as client:
                yield client
        finally:
            process.terminate()


def environment(mode: str = "replay") -> dict[str, str]:
    """One run, one ledger; a key only where something is called live."""
    environ = {**os.environ, "LMTEST_LEDGER": str(HOME / "ledger.sqlite3"), "LMTEST_RUN": "demo"}
    environ |= {"LMTEST_USD_PER_RUN": BUDGET, "LITELLM_LOCAL_MODEL_COST_MAP": "true"}
    environ.pop("LM_MODE", None)
    if mode == "record":
        environ.setdefault("GEMINI_API_KEY", "any-key-will-do-for-the-stand-in")
    else:
        environ.pop("GEMINI_API_KEY", None)
    return environ


def show(executions: dict[str, Execution]) -> None:
    """Print each program's outputs."""
    for name, execution in executions.items():
        console.print(f"  [bold]{name}[/]")
        for field, value in execution.outputs.items():
            console.print(f"    {field}: {escape(str(value))}")


def audit(execution: Execution) -> None:
    """Print the stages of an execution, and the model calls under the one that made them."""
    for record in execution.stages:
        console.print(f"  {record.stage.value:<22} {record.status.value:<5} {record.duration * 1000:8.2f} ms")
        for call in record.calls:
            tokens = f"{call.input_tokens}+{call.output_tokens} tokens"
            console.print(f"    └ {call.model}, answered by {call.hit}, {tokens}, ${call.cost}, key {call.key[:12]}")


def step(number: int, title: str) -> None:
    """Print a heading."""
    console.print(f"\n[bold cyan]{number}. {title}[/]")


def indented(text: str) -> str:
    """The text, set in a little."""
    return "\n".join(f"  {line}" for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())

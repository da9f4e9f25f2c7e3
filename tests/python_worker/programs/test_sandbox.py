"""ProgramOfThought and what runs its code: DSPy's own interpreter, on Deno where that runs, else on a stand-in for it.

Deno is no part of `make test`: when it first runs code, it downloads Pyodide and more. `pip install deno` beside this
clone is enough for these tests to use it.
"""

import functools
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import lmtest
from lmtest.testing.provider import fields
from python_worker.client import Reason, WorkerError
from python_worker.domain.execution import ExecutionStatus
from python_worker.domain.stage import Stage
from python_worker.runtime.sandbox import check_sandbox, said

from ..calling import LONG_ENOUGH, refused, wait_until  # noqa: TID252 - tests are no installed package

ASKED = {"question": "What is 6 times 7?"}
ANSWER = fields(reasoning="It says 42.", answer="42", confidence=1.0)
FOR_EVER = "while True: pass"


def code(text):
    return fields(reasoning="Compute.", generated_code=f"```python\n{text}\n```")


GOOD = code("n = 6 * 7\nSUBMIT({'answer': n})")


@functools.cache
def why_not():
    """Why Deno does not run code here; nothing where it does."""
    try:
        check_sandbox(None)
    except WorkerError as error:
        return said(error.__cause__)
    return ""


def use_deno(monkeypatch, folder, command):
    """Let DSPy find another Deno, whatever is installed."""
    (folder / "deno").write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    (folder / "deno").chmod(0o700)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setitem(sys.modules, "deno", None)


@pytest.fixture(params=["stand-in", "deno"])
def sandbox(request, monkeypatch, tmp_path):
    """Seconds within which code has surely begun."""
    if request.param == "deno":
        if reason := why_not():
            pytest.skip(f"Deno does not run code here: {reason}")
        return 10.0
    use_deno(monkeypatch, tmp_path, shlex.join([sys.executable, str(Path(__file__).with_name("deno.py"))]))
    return LONG_ENOUGH


@pytest.fixture
def thinking(sandbox, live):
    """Start workers with a ProgramOfThought, whose models are a scripted provider."""

    def start(*script, **settings):
        worker = live(*script, **settings)
        worker.client.create_program("pot", signature="qa", module="ProgramOfThought")
        return worker

    return start


def asked(request):
    """What a provider was asked last, as text."""
    return request["contents"][-1]["parts"][0]["text"]


def sandboxes():
    """How many run for this process."""
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "ppid=,args="], capture_output=True, text=True, check=True).stdout
    return sum(line.split()[0] == str(os.getpid()) and "runner.js" in line for line in listed.splitlines())


def test_the_models_code_runs_and_its_answers_are_played_again(thinking):
    recorder = thinking(GOOD, ANSWER, mode=lmtest.Mode.RECORD)
    recorded = recorder.client.execute("pot", ASKED)
    assert recorded.outputs == {"answer": "42", "confidence": 1.0, "reasoning": "It says 42."}
    assert 'code_output ## ]]\n{"output": {"answer": 42}}' in asked(recorder.provider.requests[1])
    played = thinking(mode=lmtest.Mode.REPLAY).client.execute("pot", ASKED)
    assert played.outputs == recorded.outputs
    assert [call.hit for call in played.stages[2].calls] == ["cassette", "cassette"]
    assert sandboxes() == 0


def test_code_is_made_up_where_answers_are(sandbox, mocked):
    mocked.create_program(
        "pot", signature="signature qa: :string question -> :integer answer", module="ProgramOfThought"
    )
    execution = mocked.execute("pot", ASKED)
    assert [call.hit for call in execution.stages[2].calls] == ["mock", "mock"]
    assert isinstance(execution.outputs["answer"], int)


def test_the_model_is_shown_how_its_code_failed(thinking):
    worker = thinking(code("6 / 0"), GOOD, ANSWER)
    assert worker.client.execute("pot", ASKED).outputs["answer"] == "42"
    assert "ZeroDivisionError: ['division by zero']" in asked(worker.provider.requests[1])


def test_code_that_fails_to_the_last_is_a_bad_answer_of_the_models(thinking):
    worker = thinking(code("6 / 0"))
    error = refused(worker.client.execute, "pot", ASKED)
    assert (error.reason, error.stage) == (Reason.UNPARSABLE_ANSWER, Stage.OUTPUT_VALIDATION)
    assert error.message == (
        "the model's code failed in each of 3 tries (max_iters), at last with: ZeroDivisionError: ['division by zero']"
    )
    assert "6 / 0" in worker.client.get_execution(error.execution_id).raw_answer


def test_code_that_never_ends_is_ended_at_the_deadline_and_gives_its_thread_back(thinking, sandbox):
    worker = thinking(code(FOR_EVER), GOOD, ANSWER, threads=1)
    error = refused(worker.client.execute, "pot", ASKED, timeout=sandbox)
    assert (error.reason, error.stage) == (Reason.TIMEOUT, Stage.ADAPTER_EXECUTION)
    wait_until(lambda: sandboxes() == 0)
    assert worker.client.execute("pot", ASKED).outputs["answer"] == "42"
    assert worker.stop()


def test_code_that_never_ends_is_ended_when_its_run_is_cancelled(thinking):
    worker = thinking(code(FOR_EVER), threads=1)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(refused, worker.client.execute, "pot", ASKED)
        wait_until(sandboxes)
        (listed,) = worker.client.list_executions()
        assert worker.client.cancel(listed.id).status is ExecutionStatus.CANCELLED
        assert running.result().reason is Reason.CANCELLED
    wait_until(lambda: sandboxes() == 0)
    assert worker.stop()


def test_a_sandbox_that_dies_is_told(thinking):
    gone = "try:\n    from js import Deno\nexcept ImportError:\n    import os\n    os._exit(3)\nDeno.exit(3)"
    error = refused(thinking(code(gone)).client.execute, "pot", ASKED)
    assert (error.reason, error.stage) == (Reason.CONFIGURATION, Stage.ADAPTER_EXECUTION)
    assert "the sandbox that the model's code runs in failed: " in error.message
    assert "during execution" in error.message


def test_what_deno_could_not_download_is_told_and_not_what_it_could(monkeypatch, tmp_path, mocked):
    said = "\\033[32mDownload\\033[0m https://registry.npmjs.org/pyodide\\n" * 20
    said += "\\033[31merror\\033[0m: Import 'https://deno.land/std/io/mod.ts' failed.\\n    0: dns error\\n"
    (tmp_path / "offline.sh").write_text(
        f"[ \"$1\" = --version ] && echo 'deno 2.0.0' && exit\n[ \"$1\" = info ] && echo '{{}}' && exit\n"
        f'printf "{said}" >&2\nexit 1\n'
    )
    use_deno(monkeypatch, tmp_path, shlex.join(["sh", str(tmp_path / "offline.sh")]))
    error = refused(mocked.create_program, "pot", signature="question -> answer", module="ProgramOfThought")
    assert (error.reason, error.field) == (Reason.CONFIGURATION, "module")
    assert "error: Import 'https://deno.land/std/io/mod.ts' failed. 0: dns error Install it where" in error.message
    assert "Download" not in error.message

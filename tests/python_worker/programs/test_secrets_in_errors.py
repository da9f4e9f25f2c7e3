"""Programs whose errors quote a secret of the environment: neither a client nor the worker's log is told it."""

import pytest

from python_worker.client import Action

from ..calling import refused  # noqa: TID252 - tests are no installed package
from ..test_command_line import Served, run  # noqa: TID252 - as above

SECRET = "s3cr3t-value-123456"
GONE = "<redacted:MY_API_KEY>"
SOURCE = """
import os
import threading

import dspy


def fail():
    raise RuntimeError(f"cannot sign in with {os.environ['MY_API_KEY']}")


class Program(dspy.Module):
    def __init__(self):
        super().__init__()
        self.answer = dspy.Predict("question -> answer")

    def forward(self, question):
        return getattr(self, question)()


class Raises(Program):
    def directly(self):
        fail()

    def because(self):
        try:
            fail()
        except RuntimeError as error:
            raise ValueError("it did not work") from error

    def in_parallel(self):
        failing = (lambda **_: fail(), dspy.Example(x=1).with_inputs("x"))
        dspy.Parallel(num_threads=1, max_errors=1, provide_traceback=True)([failing])

    def in_a_thread_of_its_own(self):
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        fail()

    def while_it_prints(self):
        print("signing in with", os.environ["MY_API_KEY"])
        fail()


def made():
    fail()


def reward(inputs, prediction):
    fail()


def action(inputs, context):
    fail()
"""


@pytest.fixture
def worker(tmp_path):
    (tmp_path / "leaky.py").write_text(SOURCE)
    (tmp_path / "leaky_at_import.py").write_text(SOURCE + "\nfail()\n")
    allowed = ("--allow-import", "leaky:*", "--allow-import", "leaky_at_import:*")
    worker = Served(tmp_path, "--lm-mode", "mock", *allowed, PYTHONPATH=str(tmp_path), MY_API_KEY=SECRET)
    worker.client.create_signature("signature qa: :string question -> :string answer")
    yield worker
    worker.kill()


HOW = ["directly", "because", "in_parallel", "in_a_thread_of_its_own", "while_it_prints"]


@pytest.mark.parametrize("how", HOW)
def test_a_program_that_raises_one(worker, how):
    worker.client.create_program("qa", import_path="leaky:Raises")
    errors = [
        refused(worker.client.execute, "qa", {"question": how}),
        refused(lambda: list(worker.client.stream("qa", {"question": how}))),
    ]
    for error in errors:
        kept = worker.client.get_execution(error.execution_id)
        for told in (str(error), kept.error.message, *(record.detail for record in kept.stages)):
            assert SECRET not in told
    assert worker.stop() == (0, "")
    assert SECRET not in worker.errors
    assert f"cannot sign in with {GONE}" in worker.errors
    assert "Traceback" in worker.errors


@pytest.mark.parametrize("path", ["leaky:made", "leaky_at_import:Raises"])
def test_one_that_raises_it_while_it_is_made(worker, path):
    error = refused(worker.client.create_program, "qa", import_path=path)
    assert f"RuntimeError: cannot sign in with {GONE}" in str(error)
    worker.stop()
    assert SECRET not in worker.errors


@pytest.mark.parametrize("of_ones_own", ["reward", "action"])
def test_code_of_ones_own_around_a_program(worker, of_ones_own):
    if of_ones_own == "reward":
        options = {"n": 2, "threshold": 1.0, "reward": "leaky:reward"}
        worker.client.create_program("qa", signature="qa", module="BestOfN", module_options=options)
    else:
        worker.client.create_program("qa", signature="qa", actions=[Action(name="leaky:action")])
    error = refused(worker.client.execute, "qa", {"question": "sky"})
    assert f"RuntimeError: cannot sign in with {GONE}" in str(error)
    worker.stop()
    assert SECRET not in worker.errors


def test_a_pattern_of_the_projects_that_does_not_compile_is_told_at_the_start(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.lmtest]\nredact = ['(']\n")
    ended = run(tmp_path, "serve", "--lm-mode", "mock", "--port", "0")
    assert ended.returncode == 2
    assert "redact='(' is no regular expression" in ended.stderr

"""Suites whose tests talk to workers in processes of their own."""

import os
import subprocess
import sys

import pytest

from lmtest.money.ledger import Ledger
from lmtest.testing import ScriptedProvider, SuiteRunner, fields
from lmtest.variables import VARIABLES
from python_worker.client import connect

CONFTEST = """
import os
import pytest
from python_worker.client import connect


@pytest.fixture
def worker():
    with connect(os.environ["SUITE_WORKER"]) as client:
        yield client
"""


class Served:
    """A worker in a process of its own, with the program 'qa'."""

    def __init__(self, process):
        self.process = process
        self.target = f"127.0.0.1:{process.stdout.readline().removeprefix('GRPC_READY:').strip()}"
        self.client = connect(self.target, as_test=False)
        self.client.create_program("qa", signature="signature qa: :string question -> :string answer")

    def kill(self):
        self.process.kill()
        self.process.wait()


class Suite(SuiteRunner):
    """A suite whose tests have a client of a worker, ``worker``."""

    def __init__(self, pytester):
        super().__init__(pytester, options=("-o", "asyncio_default_fixture_loop_scope=function"))
        self.write(conftest=CONFTEST)

    def run(self, *arguments, worker=None, environ=None, **options):
        environ = {**({"SUITE_WORKER": worker.target} if worker else {}), **(environ or {})}
        environ.setdefault("LMTEST_LEDGER", str(self.path / "suite.sqlite3"))
        return super().run(*arguments, environ=environ, **options)

    def rows(self):
        with Ledger(self.path / "ledger.sqlite3") as ledger:
            return list(ledger)


@pytest.fixture
def suite(pytester):
    return Suite(pytester)


@pytest.fixture
def provider():
    """One that tells what it was asked, always another word for another question."""
    with ScriptedProvider([fields(answer="Paris")], repeat_last=True) as server:
        yield server


@pytest.fixture
def serve(suite):
    """Start workers on the suite's cassettes, each in a process of its own; all are ended with the test."""
    started = []

    def start(mode, *options, provider=None, environ=None):
        command = [sys.executable, "-m", "python_worker", "serve", "--port", "0", "--lm-mode", mode, *options]
        command += ["--data-dir", str(suite.path / f"data-{len(started)}")]
        if provider is not None:
            command += ["--api-base", f"{provider.url}/v1beta"]
        ours = {each.name for each in VARIABLES}
        inherited = {name: value for name, value in os.environ.items() if name not in ours}
        said = {"GEMINI_API_KEY": "a-key", "LMTEST_LEDGER": str(suite.path / "ledger.sqlite3"), **(environ or {})}
        (suite.path / "cassettes").mkdir(exist_ok=True)
        process = subprocess.Popen(command, cwd=suite.path, env=inherited | said, stdout=subprocess.PIPE, text=True)
        started.append(Served(process))
        return started[-1]

    yield start
    for each in started:
        each.client.close()
        each.kill()
        each.process.stdout.close()

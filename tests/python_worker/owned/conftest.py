"""Suites whose tests talk to workers in processes of their own."""

import os
import subprocess
import sys

import pytest

import lmtest
from lmtest.cassette.index import Index
from lmtest.money.ledger import Ledger
from lmtest.testing import ScriptedProvider, SuiteRunner, fields
from lmtest.variables import VARIABLES
from python_worker.client import connect
from python_worker.runtime import LmtestLMs
from python_worker.store import Database

from ..conftest import RunningWorker  # noqa: TID252 - tests are no installed package

QA = "signature qa: :string question -> :string answer"
CONFTEST = """
import os
import dspy, pytest
from python_worker.client import connect


@pytest.fixture(autouse=True)
def _lm():
    base = os.environ.get("SUITE_API_BASE")
    with dspy.context(lm=dspy.LM("gemini/gemini-2.5-flash", api_base=base, api_key="a-key", num_retries=0)):
        yield


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
        self.client.create_program("qa", signature=QA)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Suite(SuiteRunner):
    """A suite whose tests have a client of a worker, ``worker``."""

    def __init__(self, pytester):
        super().__init__(pytester, options=("-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:randomly"))
        self.write(conftest=CONFTEST)

    def run(self, *arguments, worker=None, environ=None, **options):
        environ = {**({"SUITE_WORKER": worker.target} if worker else {}), **(environ or {})}
        environ.setdefault("LMTEST_LEDGER", str(self.path / "ledger.sqlite3"))
        return super().run(*arguments, environ=environ, **options)

    def file(self, name):
        """One of its cassettes."""
        return self.path / "cassettes" / name

    def entries(self, name):
        """How many recordings one of its cassettes has."""
        return len(Index(self.file(name)).entries)

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


@pytest.fixture
def host(suite, monkeypatch):
    """Start workers on the suite's cassettes in this process; all are ended with the test."""
    monkeypatch.setenv("GEMINI_API_KEY", "any-key")
    running, databases = [], []

    def start(mode, *, provider=None, directory=None, **settings):
        databases.append(Database.in_directory(suite.path / f"hosted-{len(databases)}"))
        databases[-1].migrate()
        lms = LmtestLMs(
            mode=lmtest.Mode(mode),
            cassette_dir=directory or suite.path / "cassettes",
            model="gemini/gemini-2.5-flash",
            api_base=f"{provider.url}/v1beta" if provider else None,
        )
        running.append(RunningWorker(databases[-1], lms, **settings))
        if settings.get("tokens") is None:
            running[-1].client.create_program("qa", signature=QA)
        return running[-1]

    yield start
    for each in running:
        each.stop()
    for each in databases:
        each.close()

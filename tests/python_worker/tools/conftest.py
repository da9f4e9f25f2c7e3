"""A worker on real cassettes, whose models are a scripted provider on loopback."""

import contextlib
import threading
from pathlib import Path

import pytest

import lmtest
from lmtest.testing import ScriptedProvider, fields
from python_worker.client import connect
from python_worker.runtime import LmtestLMs
from python_worker.settings import Settings
from python_worker.store import Database
from python_worker.worker import Worker

QA = "signature qa: :string question -> :string answer"


def step(tool, **arguments):
    """What a ReAct model says to call a tool."""
    return fields(next_thought="Go on.", next_tool_name=tool, next_tool_args=arguments)


def script(*steps, answer="done"):
    """A ReAct run: steps, and the answer."""
    return [*steps, step("finish"), fields(reasoning="Looked.", answer=answer)]


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "a-key-for-the-stand-in")
    monkeypatch.setenv("LMTEST_LEDGER", "off")


class Running:
    """A worker, with a client."""

    def __init__(self, folder, mode, provider, **settings):
        base = f"{provider.url}/v1beta" if provider else "http://127.0.0.1:9/v1beta"
        cassettes = folder / "cassettes"
        self.provider = provider
        self.database = Database.in_directory(folder / "data")
        self.database.migrate()
        given = Settings(mode=lmtest.Mode(mode), cassette_dir=cassettes, data_dir=folder, **settings)
        lms = LmtestLMs(mode=given.mode, cassette_dir=cassettes, model=given.model, api_base=base)
        self.worker = Worker(given, database=self.database, lms=lms)
        self.worker.start()
        self.target = f"127.0.0.1:{self.worker.port}"
        self.client = connect(self.target)

    def agent(self, *tools, name="agent"):
        """Make a ReAct program."""
        with contextlib.suppress(Exception):
            self.client.create_signature(QA)
        return self.client.create_program(name, signature="qa", module="ReAct", tools=tools)

    def ask(self, program="agent", question="Where?", **options):
        return self.client.execute(program, {"question": question}, **options)

    def stop(self):
        self.client.close()
        ended = self.worker.stop()
        self.database.close()
        return ended


@pytest.fixture
def start(tmp_path):
    """Start workers; ``script`` makes a provider that says that, and without one nobody answers."""
    running, providers = [], []

    def start(mode, steps=None, *, folder="one", **settings):
        provider = None
        if steps is not None:
            provider = ScriptedProvider(steps)
            providers.append(provider)
        running.append(Running(tmp_path / folder, mode, provider, **settings))
        return running[-1]

    def stop(worker):
        running.remove(worker)
        return worker.stop()

    start.stop = stop
    yield start
    for each in running:
        each.stop()
    for each in providers:
        each.close()


@pytest.fixture
def gate():
    """Lets a tool wait until the test says so; opened at the end, so that no thread hangs."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def tool_module(tmp_path, monkeypatch):
    """Write a module that can be imported; gives its name."""

    def write(name, text):
        Path(tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        return name

    return write

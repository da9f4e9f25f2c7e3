"""A service in record mode, whose recordings are executed anew."""

import hashlib
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner

import lmtest
import lmtest.cli
from lmtest.cassette.index import Index
from lmtest.testing import ScriptedProvider, fields
from python_worker.__main__ import cli

FRANCE = "What is the capital of France?"
SPAIN = "And of Spain?"


def answer(text, confidence=0.9):
    """What a provider answers for the program 'qa'."""
    return fields(answer=text, confidence=confidence)


@dataclass
class Service:
    """A worker that recorded, and the commands that are run beside it."""

    folder: Any
    worker: Any

    def ask(self, question):
        """Execute, with what is answered recorded."""
        return self.worker.client.execute("qa", {"question": question})

    @property
    def cassettes(self):
        return sorted(each for each in (self.folder / "cassettes").rglob("*.yaml") if each.name.count(".") == 1)

    def beside(self, cassette):
        """What is written beside a cassette."""
        return sorted(each.name for each in cassette.parent.glob(f"{cassette.stem}.*.yaml"))

    def refresh(self, *options, api_base="", code=0):
        """Run the refresh of the worker's own command line."""
        base = ["--api-base", f"{api_base}/v1beta"] if api_base else []
        return self.run("refresh", "--data-dir", "live-0", *base, *options, code=code)

    def run(self, *arguments, code=0, of=cli):
        """Run a command; what it says."""
        result = CliRunner().invoke(of, arguments)
        told = (result.output, result.exception)
        assert isinstance(result.exception, SystemExit | None), told
        assert result.exit_code == code, told
        return result.output

    def lmtest(self, *arguments, code=0):
        """Run a command of lmtest."""
        return self.run(*arguments, code=code, of=lmtest.cli.cli)


@pytest.fixture
def service(live, tmp_path, monkeypatch):
    """Start a worker in record mode on a provider that answers so, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'service'\n")

    def start(*answers, **settings):
        return Service(tmp_path, live(*answers, repeat_last=False, mode=lmtest.Mode.RECORD, **settings))

    return start


@pytest.fixture
def provider():
    """Providers that answer so, in turn."""
    started = []

    def start(*answers):
        started.append(ScriptedProvider(answers, repeat_last=True))
        return started[-1]

    yield start
    for each in started:
        each.close()


def header(cassette):
    return Index(cassette).header


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()

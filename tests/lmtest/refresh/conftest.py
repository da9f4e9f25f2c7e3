import shutil

import dspy
import pytest
from click.testing import CliRunner

from lmtest.cli import cli

from . import suite
from .oracle import Oracle

MODEL = "gemini/gemini-2.5-flash"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A project of the test's own: its cassettes and its ledger lie in a directory nobody else knows."""
    monkeypatch.chdir(tmp_path)
    for name in ("LM_MODE", "TEST_MODE", "CI", "GEMINI_API_KEY", "GEMINI_API_BASE", "GEMINI_BASE_URL", "LMTEST_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def oracle():
    """A provider that answers what a test tells it to."""
    with Oracle() as server:
        yield server


@pytest.fixture
def lm(oracle):
    return dspy.LM(MODEL, api_base=f"{oracle.url}/v1beta", api_key="k" * 12, num_retries=0)


@pytest.fixture
def refresh(project):
    def run(*arguments, code=0):
        result = CliRunner(catch_exceptions=False).invoke(cli, ["refresh", *arguments])
        assert result.exit_code == code, result.output
        return result.output

    return run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The suite with all its questions, recorded once."""
    project = tmp_path_factory.mktemp("recorded")
    with Oracle() as oracle, pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("LM_MODE", "TEST_MODE", "CI", "GEMINI_API_BASE", "LMTEST_LEDGER"):
            monkeypatch.delenv(name, raising=False)
        suite.write(project, oracle, monkeypatch, *suite.QUESTIONS)
    return project


@pytest.fixture
def suite_of_six(recorded, project, oracle, monkeypatch):
    shutil.copytree(recorded, project, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".lmtest", "__pycache__"))
    monkeypatch.setenv("QA_API_BASE", f"{oracle.url}/v1beta")
    monkeypatch.setenv("GEMINI_API_KEY", "k" * 12)
    oracle.says |= {f"{each}?": suite.answer("It is Paris", 3) for each in suite.QUESTIONS}
    return project

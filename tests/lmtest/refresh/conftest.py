import dspy
import pytest

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

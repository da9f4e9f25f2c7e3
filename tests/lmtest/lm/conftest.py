import gc
import sys
import uuid
import warnings

import dspy
import pytest

from lmtest.http.server import StandIn


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A project of the test's own: its cassettes and its ledger lie in a directory nobody else knows."""
    monkeypatch.chdir(tmp_path)
    for name in ("LM_MODE", "TEST_MODE", "CI", "GEMINI_API_KEY", "GEMINI_API_BASE", "GEMINI_BASE_URL", "LMTEST_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(autouse=True, scope="module")
def litellm_swept_up():
    """LiteLLM keeps connections of event loops that are gone: whoever is tested when they are collected would fail."""
    yield
    if (litellm := sys.modules.get("litellm")) is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            litellm.in_memory_llm_clients_cache.flush_cache()
            gc.collect()


@pytest.fixture
def provider():
    """A stand-in for Gemini on loopback, which keeps what it was sent."""
    with StandIn() as server:
        yield server


@pytest.fixture
def lm(provider):
    """An LM that reaches the stand-in, as a user would write it but for api_base."""
    return dspy.LM("gemini/gemini-2.5-flash", api_base=f"{provider.url}/v1beta", api_key="a-key-for-the-stand-in")


@pytest.fixture
def unreachable_lm():
    """The same LM where nobody listens and no key is given, as in CI."""
    return dspy.LM("gemini/gemini-2.5-flash", api_base="http://127.0.0.1:9/v1beta")


@pytest.fixture
def fresh_question():
    """A question that DSPy's cache, which outlives a test, has not seen."""
    return f"What is {uuid.uuid4()}?"

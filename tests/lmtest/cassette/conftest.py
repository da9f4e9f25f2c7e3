from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from lmtest.cassette.cassette import Cassette
from lmtest.cassette.fingerprint import fingerprint, normalise
from lmtest.cassette.interaction import Header, Interaction, Reply
from lmtest.cassette.redact import Redactor
from lmtest.modes import Mode

# Chosen by the test's source and not by chance; a slow machine is no failure.
settings.register_profile(
    "lmtest", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("lmtest")

HEADER = Header(format=1, recorded_at="2026-11-20T12:00:00Z", source="stand-in", lmtest="0.1.0", dspy="3.4.1")


@pytest.fixture
def header():
    return HEADER


@pytest.fixture
def ask():
    """Makes a request as lm15 serialises it."""

    def ask(question="What is the capital of France?", **config):
        request = {
            "model": "gemini/gemini-2.5-flash",
            "system": "Answer in one word.\nBe right.",
            "messages": [{"role": "user", "parts": [{"type": "text", "text": question}]}],
        }
        return request | ({"config": config} if config else {})

    return ask


@pytest.fixture
def recorded(ask):
    """Makes an interaction that asks a question and is told an answer."""

    def recorded(question="What is the capital of France?", answer="Paris", **fields):
        request = normalise(ask(question))
        reply = {
            "id": "r-1",
            "model": "gemini-2.5-flash",
            "message": {"role": "assistant", "parts": [{"type": "text", "text": answer}]},
            "finish_reason": "stop",
            "usage": {"input_tokens": 12, "output_tokens": 1, "total_tokens": 13},
        }
        fields = {"outcome": Reply(response=reply), "latency": 0.25, "recorded_at": "2026-11-20T12:00:00Z"} | fields
        return Interaction(key=fingerprint(request), request=request, **fields)

    return recorded


@pytest.fixture
def open_cassette():
    """Opens a cassette whose redactor sees no environment but the one given."""

    def open_cassette(path, mode=Mode.REPLAY, *, environ=None, patterns=(), **options):
        return Cassette(path, mode=mode, redactor=Redactor(environ=environ or {}, patterns=patterns), **options)

    return open_cassette


@pytest.fixture
def write(tmp_path, open_cassette, header):
    """Records interactions into a file, and gives its path."""

    def write(*interactions, name="qa.yaml"):
        cassette = open_cassette(tmp_path / name, Mode.RECORD)
        for interaction in interactions:
            cassette.record(interaction, source="stand-in")
        cassette.save(header)
        return tmp_path / name

    return write

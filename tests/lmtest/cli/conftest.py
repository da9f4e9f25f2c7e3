from __future__ import annotations

import pytest
from click.testing import CliRunner

from lmtest.cassette.cassette import Cassette
from lmtest.cassette.interaction import Header, Interaction, Reply
from lmtest.cassette.redact import Redactor
from lmtest.cli import cli
from lmtest.modes import Mode


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of its own, and the working directory in it."""
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'of-its-own'\n")
    (tmp_path / "cassettes").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def record(project):
    """Records questions with their answers into a cassette of the project; gives its path."""

    def record(name, *exchanges, media=None):
        cassette = Cassette(project / name, mode=Mode.RECORD, redactor=Redactor(environ={}))
        for question, answer in exchanges:
            parts = [{"type": "text", "text": question}]
            if media:
                parts.append({"type": "image", "media_type": "image/png", "data": media})
            request = {"model": "gemini/gemini-2.5-flash", "messages": [{"role": "user", "parts": parts}]}
            key, normal = cassette.normalise(request)
            message = {"role": "assistant", "parts": [{"type": "text", "text": answer}]}
            usage = {"input_tokens": 12, "output_tokens": 3}
            cassette.record(
                Interaction(key=key, request=normal, outcome=Reply(response={"message": message, "usage": usage})),
                source="stand-in",
            )
        cassette.save(Header(format=1, recorded_at="2026-11-20T12:00:00Z", source="stand-in", lmtest="0.1.0"))
        return project / name

    return record


@pytest.fixture
def lmtest(project):
    """Runs a command as its user would."""

    def lmtest(*arguments):
        return CliRunner().invoke(cli, [str(argument) for argument in arguments])

    return lmtest

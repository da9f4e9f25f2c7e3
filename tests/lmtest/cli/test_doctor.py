"""``lmtest doctor``: what lmtest stands on, looked at before it breaks."""

import importlib.metadata
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from click.testing import CliRunner

from lmtest.cli import cli
from lmtest.doctor import examine
from lmtest.money.ledger import Ledger, LedgerRow
from lmtest.settings import Settings

CALL = LedgerRow(
    time=datetime(2026, 11, 20, tzinfo=UTC),
    model="gemini/gemini-2.5-flash",
    mode="live",
    hit="live",
    cost=Decimal("0.0100"),
)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("LM_MODE", "TEST_MODE", "LMTEST_LEDGER", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def found(name, root):
    return [finding for finding in examine(Settings(), root) if finding.name == name]


def test_a_sound_project_exits_with_0():
    done = CliRunner().invoke(cli, ["doctor"])
    assert done.exit_code == 0
    assert "its seams are as expected" in done.output


def test_a_mode_that_cannot_be_used_exits_with_1(monkeypatch):
    monkeypatch.setenv("LM_MODE", "recrod")
    done = CliRunner().invoke(cli, ["doctor"])
    assert done.exit_code == 1
    assert "Did you mean 'record'?" in done.output


def test_a_missing_key_is_a_note_because_replay_needs_none(project):
    [key] = found("key", project)
    assert (key.verdict, "GEMINI_API_KEY" in key.detail) == ("note", True)


def test_a_malicious_litellm_is_bad(project, monkeypatch):
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.82.8" if name == "litellm" else real(name))
    [litellm] = found("LiteLLM", project)
    assert (litellm.verdict, "change every credential" in litellm.detail) == ("bad", True)


@pytest.mark.parametrize(("theirs", "told"), [("0.0100", False), ("0.01005", False), ("0.0102", True), ("0.005", True)])
def test_prices_more_than_a_hundredth_apart_are_told(project, theirs, told):
    with Ledger(project / ".lmtest" / "ledger.sqlite3") as ledger:
        ledger.append([replace(CALL, dspy_cost=Decimal(theirs))])
    assert bool(found("prices", project)) is told


def test_a_ledger_that_does_not_read_is_bad(project):
    (project / ".lmtest").mkdir()
    (project / ".lmtest" / "ledger.sqlite3").write_bytes(b"no database at all, but long enough to be looked at" * 50)
    [ledger] = found("ledger", project)
    assert ledger.verdict == "bad"

"""``lmtest doctor``: what lmtest stands on, looked at before it breaks."""

import importlib.metadata
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from click.testing import CliRunner

from lmtest.cli import cli
from lmtest.doctor import examine
from lmtest.money.ledger import Ledger
from lmtest.money.row import LedgerRow
from lmtest.settings import Settings

CALL = LedgerRow(
    time=datetime(2026, 11, 20, tzinfo=UTC),
    model="gemini/gemini-2.5-flash",
    mode="live",
    hit="live",
    cost=Decimal("0.0100"),
)


OWN = '["openai/gpt-4o-mini"]\ninput = 0.2\noutput = 0.6\n'


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


def test_a_setting_that_cannot_be_used_is_bad_and_told_once(project):
    (project / "pyproject.toml").write_text('[tool.lmtest]\nredact = ["("]\n')
    done = CliRunner().invoke(cli, ["doctor"])
    assert (done.exit_code, done.output.count("is no regular expression")) == (1, 1)
    (project / "pyproject.toml").write_text('[tool.lmtest]\nledger = "mysql://localhost/x"\n')
    assert CliRunner().invoke(cli, ["doctor"]).output.count("'mysql' URL") == 1


def test_a_ledger_that_is_not_there_is_good_where_it_can_be_made_and_is_not_made(project):
    [ledger] = found("ledger", project)
    assert (ledger.verdict, [*project.iterdir()]) == ("good", [])


def test_a_ledger_that_cannot_be_made_is_bad(project):
    (project / ".lmtest").write_text("a file where the directory would be")
    [ledger] = found("ledger", project)
    assert (ledger.verdict, f"cannot be made in {str(project / '.lmtest')!r}" in ledger.detail) == ("bad", True)


def test_a_ledger_that_cannot_be_written_is_bad(project):
    file = project / ".lmtest" / "ledger.sqlite3"
    with Ledger(file) as ledger:
        ledger.append([CALL])
    # Whoever runs the tests may be root, whom no permission stops; SQLite's own mark of a newer format stops everybody.
    with file.open("r+b") as opened:
        opened.seek(18)
        opened.write(b"\x03")
    [finding] = found("ledger", project)
    assert (finding.verdict, "readonly" in finding.detail) == ("bad", True)


@pytest.mark.parametrize(
    ("model", "told"),
    [("gemini/gemini-2.5-flash", None), ("gemini/gemini-2.5-flsh", "did you mean"), ("mine/own", "LMTEST_PRICES")],
)
def test_limits_of_a_model_that_nobody_knows_are_a_note(project, monkeypatch, model, told):
    monkeypatch.setenv("LMTEST_LIMITS", f"{model}:usd_per_run=1")
    notes = found("limits", project)
    assert [(note.verdict, model in note.detail, told in note.detail) for note in notes] == (
        [("note", True, True)] if told else []
    )


def test_limits_that_do_not_read_are_bad(project, monkeypatch):
    monkeypatch.setenv("LMTEST_USD_PER_RUN", "much")
    [limits] = found("limits", project)
    assert (limits.verdict, "much" in limits.detail) == ("bad", True)


def prices(project, *models, own=""):
    """What is said of the models of calls in the ledger, by model; and the lines below."""
    with Ledger(project / ".lmtest" / "ledger.sqlite3") as ledger:
        ledger.append([replace(CALL, model=model) for model in models])
    (project / "prices.toml").write_text(own)
    done = CliRunner().invoke(cli, ["doctor", "--prices"], env={"LMTEST_PRICES": str(project / "prices.toml")})
    assert done.exit_code == 0, done.output
    head, *lines = done.output.splitlines()
    assert head.split("  ")[0] == "USD per million tokens, in / out"
    table = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines if "  " in line]
    return {model: rates for model, *rates in table}, [line for line in lines if "  " not in line]


def test_lists_that_agree_are_shown_and_nothing_more_is_said(project):
    assert prices(project, "openai/gpt-4o-mini") == (
        {
            "gemini/gemini-2.5-flash": ["-", "0.3 / 2.5", "0.3 / 2.5", "0.3 / 2.5"],  # the project's own
            "openai/gpt-4o-mini": ["-", "0.15 / 0.6", "0.15 / 0.6", "0.15 / 0.6"],
        },
        [],
    )


def test_lists_that_disagree_are_named_and_so_is_the_one_that_holds(project):
    rates, said = prices(project, "groq/llama-3.1-8b-instant", "openai/gpt-4o-mini", own=OWN)

    assert rates["openai/gpt-4o-mini"] == ["0.2 / 0.6", "0.15 / 0.6", "0.15 / 0.6", "0.15 / 0.6"]
    assert said == [
        "openai/gpt-4o-mini: lmtest goes by own file, and genai-prices and DSPy and LiteLLM say otherwise.",
    ]


def test_a_model_that_all_lists_are_silent_about_is_named_with_what_mends_it(project):
    rates, said = prices(project, "openai/my-finetune", "anthropic/claude-sonnet-4-5")

    assert rates["openai/my-finetune"] == ["-", "-", "-", "-"]
    assert said == ["openai/my-finetune: no list knows it, so its calls cost ?; name its price in LMTEST_PRICES."]


def test_a_model_that_only_others_know_is_named(project):
    rates, [said] = prices(project, "ollama/llama3")

    assert rates["ollama/llama3"][:2] == ["-", "-"]
    assert said.startswith("ollama/llama3: lmtest's lists do not know it, and its calls cost ?, though")


def test_a_list_that_others_gainsay_is_named_with_what_mends_it(project):
    _, said = prices(project, "deepseek/deepseek-chat")

    [line] = said
    assert line.startswith("deepseek/deepseek-chat: lmtest goes by genai-prices, and DSPy and LiteLLM say otherwise;")
    assert line.endswith("name its price in LMTEST_PRICES.")


@pytest.mark.parametrize(
    ("text", "verdict", "told"),
    [
        ('["openai/gpt-5"]\ninput = 1\noutput = 2\n', None, ""),
        ('["gpt-5"]\ninput = 1\noutput = 2\n', "note", "Did you mean 'openai/gpt-5'?"),
        ("[m\n", "bad", "does not parse"),
        (None, "bad", "cannot be read"),
    ],
)
def test_prices_of_ones_own_that_hold_for_nothing_are_a_note_and_a_broken_file_is_bad(
    project, monkeypatch, text, verdict, told
):
    if text is not None:
        (project / "prices.toml").write_text(text)
    monkeypatch.setenv("LMTEST_PRICES", "prices.toml")
    findings = found("prices", project)
    assert [(finding.verdict, told in finding.detail) for finding in findings] == ([(verdict, True)] if verdict else [])

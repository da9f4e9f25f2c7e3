"""`lmtest cost-report`, as its user sees it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from lmtest.cli import cli
from lmtest.errors import ConfigurationError
from lmtest.money.ledger import Ledger
from lmtest.money.row import LedgerRow

NOW = datetime.now(UTC)
LIVE = LedgerRow(
    time=NOW, test="test_qa", model="gemini/gemini-2.5-flash", mode="record", hit="live", cost=Decimal("0.25")
)
REPLAYED = LedgerRow(
    time=NOW - timedelta(days=40),
    test="test_qa[<b>|=1]",
    model="gemini/gemini-2.5-flash",
    cassette="qa.yaml",
    key="k",
    mode="replay",
    hit="cassette",
    cost=Decimal(0),
    would_cost=Decimal("0.0000861"),
)
REHEARSED = LedgerRow(
    time=NOW,
    test="test_qa",
    model="gemini/gemini-2.5-flash",
    provider="stand-in",
    mode="record",
    hit="live",
    cost=Decimal(0),
    would_cost=Decimal("0.0012"),
)
UNPRICED = LedgerRow(time=NOW, test="test_local", model="ollama/llama3", mode="live", hit="live", cost=None)


@pytest.fixture
def run(tmp_path, monkeypatch):
    path = tmp_path / "ledger.sqlite3"
    monkeypatch.setenv("LMTEST_LEDGER", str(path))

    def run(*arguments, rows=()):
        with Ledger(path) as ledger:
            ledger.open()
            ledger.append(rows)
        return CliRunner().invoke(cli, ["cost-report", *arguments])

    return run


def test_a_person_sees_what_was_spent_saved_and_would_be_spent(run):
    result = run(rows=[LIVE, REPLAYED])

    assert result.exit_code == 0
    assert result.stdout.startswith(
        "Spent $0.25 on 1 live call; 1 replayed call saved $0.000086; "
        "recording anew what was replayed would cost $0.000086."
    )
    assert any(line.startswith(" test_qa ") and "█" * 24 in line for line in result.stdout.splitlines())


@pytest.mark.parametrize("form", ["table", "markdown", "html"])
def test_what_a_stand_in_answered_is_not_spent_and_is_shown_at_list_price(run, form):
    result = run("--format", form, rows=[REHEARSED])

    listed = "$0.0012 at list price (stand-in: nothing was charged)"
    assert f"Spent $0.00 on 1 live call, and {listed}; 0 replayed calls saved $0.00;" in result.stdout
    assert "$0.00 so far, $0.00 by its end" in result.stdout
    cells = re.sub(r"[^$.0-9]+", " ", result.stdout[result.stdout.index("test_qa") :]).split()
    assert cells.count("$0.0012") >= 2, "in its line and in the total"


def test_programs_read_what_a_stand_in_answered_apart_from_what_was_spent(run):
    report = json.loads(run("--json", rows=[LIVE, REHEARSED]).stdout)
    assert (report["total"]["spent_usd"], report["total"]["stand_in_usd"]) == ("0.25", "0.0012")
    [line] = csv.DictReader(io.StringIO(run("--format", "csv").stdout))
    assert (line["spent_usd"], line["stand_in_usd"]) == ("0.25", "0.0012")


def test_a_rehearsal_against_a_stand_in_never_fails_over(run):
    assert run("--fail-over", "0", rows=[REHEARSED]).exit_code == 0


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown", "html"])
def test_an_empty_ledger_is_said_to_be_empty_and_is_no_failure(run, form):
    result = run("--format", form, "--fail-over", "0")

    assert result.exit_code == 0
    assert "No calls in" in result.output


def test_nothing_in_the_time_asked_for_is_said_so(run):
    result = run("--since", "30d", rows=[REPLAYED])

    assert "No calls in" in result.stdout
    assert "since" in result.stdout


def test_json_holds_every_amount_exactly(run):
    report = json.loads(run("--json", rows=[LIVE, REPLAYED]).stdout)

    assert report["total"]["spent_usd"] == "0.25"
    assert [line["saved_usd"] for line in report["lines"]] == ["0", "0.0000861"]
    assert report["month"]["spent_usd"] == "0.25"


def test_csv_has_a_row_a_line(run):
    rows = list(csv.DictReader(io.StringIO(run("--format", "csv", rows=[LIVE, REPLAYED]).stdout)))

    assert [(row["test"], row["calls"]) for row in rows] == [("test_qa", "1"), ("test_qa[<b>|=1]", "1")]


def test_markdown_keeps_a_names_bars_out_of_its_table(run):
    result = run("--format", "markdown", rows=[REPLAYED])

    name = "<code>test_qa&#91;&#60;b&#62;&#124;=1&#93;</code>"
    assert f"| {name} | 1 | 0 | $0.00 | $0.000086 | $0.000086 |" in result.stdout


def test_html_draws_a_bar_for_each_line_and_escapes_its_name(run):
    page = run("--format", "html", rows=[LIVE, REPLAYED]).stdout

    chart = ET.fromstring(page[page.index("<svg") : page.index("</svg>") + len("</svg>")])
    bars = chart.findall(".//rect[@class='spent']")
    assert [float(bar.get("width")) for bar in bars] == [400.0, 0.0]
    HTMLParser().feed(page)
    assert "<b>|" not in page


def test_an_unknown_price_is_shown_as_unknown(run):
    result = run("--by", "model", rows=[LIVE, UNPRICED])

    assert "Of unknown price (?), and in no sum above: ollama/llama3 (1 call)." in result.stdout
    assert "$0.25 + ?" in result.stdout


def test_spending_over_the_limit_fails(run):
    result = run("--fail-over", "0.24", rows=[LIVE])

    assert result.exit_code == 1
    assert "$0.25 was spent, over the $0.24 of --fail-over" in result.stderr


def test_spending_up_to_the_limit_passes(run):
    assert run("--fail-over", "0.25", rows=[LIVE]).exit_code == 0


def test_a_limit_nobody_can_vouch_for_fails(run):
    result = run("--fail-over", "100", rows=[UNPRICED])

    assert result.exit_code == 1
    assert "ollama/llama3" in result.stderr


def test_a_month_is_held_against_its_limit(run):
    assert "Limit $0.20: exceeded." in run("--monthly-limit", "0.20", rows=[LIVE]).stdout


def test_a_month_of_no_money_at_all_is_held_too(run):
    assert "Limit $0.00: 0% used." in run("--monthly-limit", "0", rows=[REPLAYED]).stdout


def test_the_environments_limit_holds_where_no_flag_speaks(run, monkeypatch):
    monkeypatch.setenv("LMTEST_USD_PER_MONTH", "0.50")

    assert "Limit $0.50: 50% used" in run(rows=[LIVE]).stdout


def test_the_projects_limit_holds_where_nothing_else_speaks(run, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("[tool.lmtest.limits]\nusd_per_month = 1.00\n")
    monkeypatch.chdir(tmp_path)

    assert "Limit $1.00: 25% used" in run(rows=[LIVE]).stdout


def test_the_project_says_where_its_ledger_is(tmp_path, monkeypatch):
    monkeypatch.delenv("LMTEST_LEDGER", raising=False)
    (tmp_path / "pyproject.toml").write_text('[tool.lmtest]\nledger = "money.sqlite3"\n')
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    with Ledger(tmp_path / "money.sqlite3") as ledger:
        ledger.append([LIVE])

    assert CliRunner().invoke(cli, ["cost-report"]).stdout.startswith("Spent $0.25")


def test_a_ledger_that_is_off_is_said_to_be(monkeypatch):
    monkeypatch.setenv("LMTEST_LEDGER", "off")

    with pytest.raises(ConfigurationError, match="The ledger is off"):
        CliRunner().invoke(cli, ["cost-report"], catch_exceptions=False)


def test_lines_left_out_are_counted(run):
    result = run("--top", "1", rows=[LIVE, REPLAYED])

    assert "1 line is left out here, not from the total: '--top 2' shows it." in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--since", "lately"), "neither a date such as 2026-11-01 nor an age"),
        (("--fail-over", "cheap"), "'cheap' is no amount"),
        (("--fail-over", "-1"), "no amount to hold a bill against"),
        (("--by", "colour"), "'test', 'model', 'day', 'cassette', 'run'"),
    ],
)
def test_a_bad_argument_is_named_and_exits_with_2(run, arguments, message):
    result = run(*arguments, rows=[LIVE])

    assert result.exit_code == 2
    assert message in result.stderr


def test_a_broken_ledger_is_one_sentence_and_exits_with_2(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    path.write_text("no database" * 100)

    result = subprocess.run(
        [sys.executable, "-c", "from lmtest.cli import main; main()", "cost-report", "--ledger", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == 2
    assert result.stderr.startswith(f"lmtest: The ledger '{path}' does not read as a SQLite database")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("named", ["--ledger", "LMTEST_LEDGER"])
def test_a_ledger_that_is_named_and_not_there_is_an_error_because_a_mistyped_one_would_pass(named, tmp_path):
    place = str(tmp_path / "no-such.sqlite3")
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "lmtest",
            "cost-report",
            "--fail-over",
            "1",
            *([named, place] if named[0] == "-" else []),
        ],
        env={**os.environ, "LMTEST_LEDGER": "" if named[0] == "-" else place},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (result.returncode, result.stdout) == (2, "")
    assert f"there is no ledger at '{place}', which {named} names" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_project_that_has_called_nobody_yet_has_spent_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LMTEST_LEDGER", raising=False)

    result = CliRunner().invoke(cli, ["cost-report", "--fail-over", "0"])

    assert result.exit_code == 0
    assert "No calls in" in result.output


def test_a_report_counts_what_was_kept_beside_its_ledger(run, tmp_path):
    with Ledger(tmp_path / "ledger.sqlite3") as ledger:
        ledger.open()
        ledger.keep([LIVE])

    assert "Spent $0.25" in run().output

"""What a run says at its end: on the terminal, in reports, in JUnit files, on GitHub."""

import json
import re
import xml.etree.ElementTree as ET

import pytest
from markdown_it import MarkdownIt

SUITE = """
import dspy, pytest

pytestmark = pytest.mark.lmtest

def test_it():
    dspy.Predict("question -> answer")(question="Who?")

def test_silent(): pass
"""


@pytest.fixture
def recorded(suite, provider):
    suite.write(test_qa=SUITE)
    suite.recording = suite.run(mode="record", provider=provider)
    return suite


def told(result):
    """The lines of the summary's section."""
    return result.output.partition("= lmtest =")[2].partition("\n")[2].splitlines()


def test_a_recording_says_what_it_made_and_spent_and_that_a_stand_in_charges_nothing(recorded):
    headline, costs, *_ = told(recorded.recording)
    assert headline == "mode record: 1 call in 1 test (1 recorded), 1 cassette"
    assert re.fullmatch(
        r"spent \$0\.00, \$0\.000\d+ at list price \(stand-in: nothing was charged\), saved \$0\.00", costs
    )


def test_a_replay_says_what_it_played_and_saved(recorded):
    headline, costs, *_ = told(recorded.run())
    assert headline == "mode replay: 1 call in 1 test (1 played), 1 cassette"
    assert costs.startswith("spent $0.00, saved $0.000")


def test_a_miss_is_counted(recorded):
    recorded.write(test_qa=SUITE.replace("Who?", "What?"))
    assert told(recorded.run())[0] == "mode replay: 0 calls in 1 test (1 missed)"


def test_a_run_whose_calls_were_all_refused_says_so_and_why_so_much_was_reserved(suite, provider):
    suite.write(test_qa=SUITE)
    result = suite.run("--lmtest-budget", "0.01", mode="live", provider=provider)

    assert told(result)[:2] == ["mode live: 0 calls in 1 test (1 refused)", "spent $0.00, saved $0.00"]
    assert (
        "no max_tokens is set, so the model's maximum of 65,536 output tokens is reserved. usd_per_run" in result.output
    )
    assert "Set max_tokens, or raise usd_per_run (pytest --lmtest-limit usd_per_run=USD)" in result.output


def test_nothing_is_said_when_nothing_happened(suite):
    suite.write(test_qa="import pytest\n\n@pytest.mark.lmtest\ndef test_it(): pass\n\ndef test_other(): pass")
    assert "= lmtest =" not in suite.run().output


def test_slow_tests_are_named(suite, provider):
    # The cassette says how long its calls took; one is made to say more than a stand-in needs.
    suite.write(test_qa=SUITE)
    suite.run(mode="record", provider=provider)
    path = suite.path / "cassettes/test_qa/test_it.yaml"
    lines = [line if not line.startswith("latency:") else "latency: 12.5" for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")
    result = suite.run()
    assert "slowest when recorded: 12.50 s test_qa.py::test_it" in result.output
    assert "and 12.5 s" in result.output


def test_the_summary_is_whole_under_xdist(recorded):
    assert told(recorded.run("-n", "2"))[0] == "mode replay: 1 call in 1 test (1 played), 1 cassette"


def test_a_json_report_has_every_test_and_amounts_as_text(recorded):
    recorded.run("--lmtest-report", "out/run.json")
    document = json.loads((recorded.path / "out/run.json").read_text())
    assert document["mode"] == "replay"
    assert document["totals"]["played"] == 1
    assert float(document["totals"]["saved"]) > 0
    assert {test["test"]: test["calls"] for test in document["tests"]} == {
        "test_qa.py::test_it": 1,
        "test_qa.py::test_silent": 0,
    }


def test_a_markdown_report_is_a_table_with_the_misses_before_it(recorded):
    recorded.write(test_qa=SUITE + "\ndef test_new():\n    dspy.Predict('question -> answer')(question='New?')\n")
    recorded.run("--lmtest-report", "run.json", "--lmtest-report", "run.md")
    assert (recorded.path / "run.json").exists()
    text = (recorded.path / "run.md").read_text()
    assert text.startswith("### lmtest\n")
    assert "<details><summary><code>test_qa.py::test_new</code></summary>" in text
    assert "| `test_qa.py::test_it` | 1 | 1 | 0 | $0.00 | $0.000" in text


def test_a_report_is_written_though_nothing_happened(suite):
    suite.write(test_qa="def test_it(): pass")
    assert suite.run("--lmtest-report", "run.json").green
    assert json.loads((suite.path / "run.json").read_text())["tests"] == []


def test_a_report_of_another_kind_is_refused_before_a_test_runs(suite):
    result = suite.run("--lmtest-report", "run.pdf")
    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert "the ending of --lmtest-report run.pdf is '.pdf'; it can be .json, .md." in result.errors


def test_a_report_that_cannot_be_written_is_one_sentence_after_the_summary(recorded):
    (recorded.path / "taken").write_text("a file where a directory must be")
    result = recorded.run("--lmtest-report", "taken/run.json")
    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert "cannot be written: " in result.output
    assert "INTERNALERROR" not in result.output
    assert "1 call in 1 test" in result.output


def test_junit_files_carry_what_each_test_did(recorded):
    recorded.run("--junit-xml", "junit.xml")
    cases = ET.parse(recorded.path / "junit.xml").iter("testcase")
    properties = {
        case.get("name"): {each.get("name"): each.get("value") for each in case.iter("property")} for case in cases
    }
    assert properties["test_silent"] == {}
    assert properties["test_it"]["lmtest_mode"] == "replay"
    assert properties["test_it"]["lmtest_cassette"] == "cassettes/test_qa/test_it.yaml"
    assert properties["test_it"]["lmtest_played"] == "1"


def test_github_is_told_of_misses_where_their_tests_stand(recorded):
    recorded.write(test_qa=SUITE.replace("Who?", "What?"))
    result = recorded.run(environ={"GITHUB_ACTIONS": "true"})
    line = next(line for line in result.output.splitlines() if line.startswith("::error"))
    assert line.startswith("::error file=test_qa.py,line=6,title=lmtest miss::")
    assert "%0A" in line
    assert "[-Who-]{+What+}" in line


def test_github_is_warned_of_what_is_unused(recorded):
    recorded.write(test_qa=SUITE.replace("test_it", "test_renamed"))
    warned = "::warning file=cassettes/test_qa/test_it.yaml,title=lmtest::orphan: "
    assert warned in recorded.run(mode="mock", environ={"GITHUB_ACTIONS": "true"}).output
    assert "::warning" not in recorded.run(mode="mock").output


def test_the_summary_of_a_github_job_is_appended_to(recorded):
    summary = recorded.path / "step.md"
    summary.write_text("before\n")
    recorded.run(environ={"GITHUB_STEP_SUMMARY": str(summary)})
    assert summary.read_text().startswith("before\n### lmtest\n")


NASTY = """
import dspy, pytest

@pytest.mark.lmtest
@pytest.mark.parametrize("text", ["</code>|```x```<script>@octocat[a](b)"], ids=str)
def test_it(text):
    dspy.Predict("question -> answer")(question=f"{QUESTION}\\n```\\n<script>{text}")
"""


def test_neither_a_tests_name_nor_what_it_asks_is_markup_on_github(suite, provider):
    suite.write(test_qa=NASTY.replace("QUESTION", "'Who?'"))
    assert suite.run("--lmtest-report", "run.md", mode="record", provider=provider).green
    cells = MarkdownIt("commonmark").enable("table").render((suite.path / "run.md").read_text()).partition("<tbody>")[2]
    assert cells.count("<td") == 7
    assert "test_it[&lt;/code&gt;|```x```&lt;script&gt;@octocat[a](b)]" in cells

    suite.write(test_qa=NASTY.replace("QUESTION", "'What?'"))
    summary = suite.path / "step.md"
    suite.run(environ={"GITHUB_STEP_SUMMARY": str(summary)})
    shown = MarkdownIt("commonmark").render(summary.read_text())
    assert "<script" not in shown
    assert "<a " not in shown
    told = shown.partition("<pre>")[2].partition("</pre>")
    assert "{+What+}" in told[0]
    assert "```" in told[0]
    assert told[2].strip() == "</details>"


BARE = """
import dspy, pytest, http.client

def test_unmarked(): pass

@pytest.mark.lmtest
def test_other_http():
    connection = http.client.HTTPConnection(PROVIDER)
    connection.request("POST", "/v1beta/models/gemini-2.5-flash:embedContent", body=b"{}")
    connection.close()

@pytest.mark.lmtest
def test_asks(): dspy.Predict("question -> answer")(question="capital")

@pytest.mark.lmtest
def test_fails(): assert 0
"""


@pytest.mark.parametrize("how", [(), ("-n", "2")], ids=["in one process", "under xdist"])
def test_a_marked_test_that_recorded_nothing_is_told(how, suite, paris):
    suite.write(test_qa=f"PROVIDER = '{paris.url.removeprefix('http://')}'\n{BARE}")
    told = "nothing recorded: 1 marked test called no lmtest.tool, and no dspy.LM or dspy.Embedder that asks a provider"

    assert f"{told} (-v names them)\n" in suite.run(*how, mode="record", provider=paris).output
    assert f"{told}\n  test_qa.py::test_other_http\n" in suite.run(*how, "-v", mode="record", provider=paris).output
    assert "nothing recorded" not in suite.run(*how).output


def test_of_a_suite_that_is_covered_by_a_setting_no_test_is_told_to_record_nothing(suite):
    suite.ini("lmtest_auto = true")
    suite.write(test_qa="def test_plain(): pass")
    assert "lmtest ==" not in suite.run(mode="record").output

"""The forms of a refresh's report, and a metric's scores in them."""

import io
import json
import re
from dataclasses import replace

import dspy
import pytest
from markdown_it import MarkdownIt

import lmtest
from lmtest import literal
from lmtest.cassette.interaction import Interaction, Reply
from lmtest.refresh.drift import compare
from lmtest.refresh.metric import Metric
from lmtest.refresh.prompt import read_inputs
from lmtest.refresh.result import CassetteDrift, Drift, Left, read_calls
from lmtest.report.drift_data import as_data
from lmtest.report.drift_formats import write
from lmtest.report.drift_terminal import print_drift

from .oracle import fields
from .recordings import record

NASTY = "<script>alert(1)</script> `x` ``y`` | [-gone-] {+new+}"


def with_text(call: Interaction, text: str) -> Interaction:
    message = {"role": "assistant", "parts": [{"type": "text", "text": text}]}
    return replace(call, outcome=Reply(response=call.outcome.response | {"message": message}))


@pytest.fixture
def call(lm):
    [call] = read_calls(record(lm, f"What of {NASTY}?"))
    return with_text(call, fields(answer="plain", n=1))


@pytest.fixture
def data(call, project):
    drift = compare(call, with_text(call, fields(answer=NASTY, n=1)))
    cassette = CassetteDrift(path=project / "qa.yaml", test="t.py::test_<b>", calls=(drift,), failure="<i>why</i>")
    left = Left(path=project / "other.yaml", reason="not reached")
    return as_data(Drift(cassettes=(cassette,), left=(left,), stopped="interrupted"), root=project)


def test_the_page_shows_what_a_model_said_and_never_runs_it(data):
    page = write(data, ".html")
    assert "&lt;script&gt;" in page
    for markup in ("<script", "<i>why", "test_<b>"):
        assert markup not in page


def test_markdown_holds_what_a_model_said_as_code(data):
    text = write(data, ".md")
    [line] = [line for line in text.splitlines() if line.strip().startswith("- answer:")]
    assert line.strip().startswith("- answer: ``` ")
    assert line.endswith(" ```")


def test_a_path_is_markup_in_no_form(call, project):
    name = "[/red]a|`b`<i>:tada:.yaml"
    drift = compare(call, with_text(call, fields(answer="other", n=1)))
    cassette = CassetteDrift(path=project / name, test=f"{name}::test", calls=(drift,))
    left = Left(path=project / f"left {name}", reason=f"of {name}")
    data = as_data(Drift(cassettes=(cassette,), left=(left,), stopped=f"at {name}"), root=project)
    said = io.StringIO()
    print_drift(literal.console(width=200, file=said), data)
    assert said.getvalue().count(name) == 4
    shown = MarkdownIt("commonmark").enable("table").render(write(data, ".md"))
    assert "<i>" not in shown
    assert re.sub(r"</?code>", "", shown).count("[/red]a|`b`&lt;i&gt;:tada:.yaml") == 5
    assert "<i>" not in write(data, ".html")


def test_json_says_all_there_is(data):
    read = json.loads(write(data, ".json"))
    assert read["cassettes"][0]["calls"][0]["changes"] == [
        {"field": "answer", "before": "plain", "after": NASTY, "wording": False}
    ]
    assert read["left"] == [{"path": "other.yaml", "reason": "not reached"}]


@pytest.mark.parametrize("width", [40, 100])
def test_the_terminal_shows_it_at_any_width(data, width):
    said = io.StringIO()
    print_drift(literal.console(width=width, file=said), data)
    text = said.getvalue()
    assert "<script>alert(1)</script>" in text.replace("\n", "").replace("    ", "")
    assert all(len(line.rstrip()) <= width for line in text.splitlines())


def test_the_prompt_says_what_was_asked(call):
    assert read_inputs(call.request) == {"question": f"What of {NASTY}?"}


def test_the_steps_of_an_agent_belong_to_its_trajectory(call):
    inputs = {"question": "Why?", "trajectory": "[[ ## thought_0 ## ]]\nLook.\n\n[[ ## tool_name_0 ## ]]\nlook_up"}
    system, user = dspy.ChatAdapter().format(dspy.Signature("question, trajectory -> answer"), [], inputs)
    message = {"role": "user", "parts": [{"type": "text", "text": user["content"]}]}
    assert read_inputs({"system": system["content"], "messages": [message]}) == inputs


def test_a_metric_sees_inputs_and_what_was_recorded_as_the_truth(call, project, monkeypatch):
    (project / "judges.py").write_text(
        "def right(example, prediction):\n"
        "    assert 'What of' in example.question\n"
        "    return example.answer == prediction.answer\n"
    )
    metric = Metric("judges:right", project)
    assert metric.score(compare(call, with_text(call, fields(answer="other", n=1)))) == (1.0, 0.0)
    assert metric.score(compare(call, None)) == (1.0, None)


@pytest.mark.parametrize(
    ("name", "says"),
    [("no.such:fn", "does not load"), ("json:nothing", "does not load"), ("json", "is no function")],
)
def test_a_metric_that_is_none_is_refused(name, says):
    with pytest.raises(lmtest.ConfigurationError, match=says):
        Metric(name)


def test_a_metric_that_raises_says_on_what(call):
    with pytest.raises(lmtest.ConfigurationError, match=r"raised TypeError.*plain"):
        Metric("json:loads").score(compare(call, call))

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
from lmtest.refresh.result import CassetteDrift, Drift, Left, furthest_first, read_calls
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


# ── what reviewers see ───────────────────────────────────────────────────────────────────────────────────────────────


def of_many(call, project, answers, *, calls=1, tier=None):
    """A refresh in which each cassette's calls moved from the one answer to the other."""
    cassettes = []
    for number, (was, now) in enumerate(answers):
        drift = compare(with_text(call, fields(answer=was, n=1)), with_text(call, fields(answer=now, n=1)))
        drift = replace(drift, tier=tier) if tier else drift
        path = project / f"cassettes/test_{number}.yaml"
        cassettes.append(CassetteDrift(path=path, test=f"t.py::test_{number}", calls=(drift,) * calls))
    return as_data(Drift(cassettes=tuple(furthest_first(cassettes))), root=project)


def rendered(markdown):
    return MarkdownIt("commonmark").enable("table").render(markdown)


LONG = "The quick brown fox jumps over the lazy dog. " * 120


def test_every_form_shows_a_change_at_the_end_of_a_long_line(call, project):
    data = of_many(call, project, [(f"{LONG}It was Monday.", f"{LONG}It was Tuesday.")])
    said = io.StringIO()
    print_drift(literal.console(width=100, file=said), data)
    for text in (said.getvalue(), write(data, ".md")):
        assert "It was [-Monday-]{+Tuesday+}." in " ".join(text.split())
        assert len(text) < 3_000
    assert "It was <del>Monday</del><ins>Tuesday</ins>." in write(data, ".html")


def test_the_page_has_all_of_a_long_text_on_demand(call, project):
    page = write(of_many(call, project, [(f"{LONG}Monday", f"{LONG}Tuesday")]), ".html")
    assert f"<details><summary>all of it</summary>{LONG}<del>Monday</del>" in page


def test_marks_in_an_answer_are_no_marks_on_the_page(call, project):
    page = write(of_many(call, project, [("see [-a-] and {+b+} here", "see [-a-] and {+b+} there")]), ".html")
    assert "see [-a-] and {+b+} <del>here</del><ins>there</ins>" in page


@pytest.mark.parametrize(("cassettes", "calls"), [(300, 1), (3, 400), (1, 5_000)])
def test_markdown_stays_below_what_github_takes_and_says_what_it_left_out(call, project, cassettes, calls):
    words = "lorem ipsum \U0001f600 dolor sit amet " * 20
    answers = [(f"{words}{number}", f"{number} {words}") for number in range(cassettes)]
    data = of_many(call, project, answers, calls=calls)
    data["tests"]["told"] = [
        {"test": f"t.py::test_{number}", "outcome": "failed", "reason": f"no {number} {words}"} for number in range(300)
    ]
    data["left"] = [{"path": f"left_{number}.yaml", "reason": f"because {number}"} for number in range(2_000)]
    text = write(data, ".md", whole="drift.html")
    assert len(text.encode("utf-16-le")) // 2 <= 65_536
    told = len(re.findall("^## changed", text, re.MULTILINE))
    assert told
    if told < cassettes:
        assert f"**{cassettes - told} more cassettes moved** ({cassettes - told} changed)" in text
        assert "all of it is in `drift.html`" in text
    if calls > 1:
        assert re.search(r"… and \d+ calls more that moved no further", text)


def test_markdown_without_room_shows_what_moved_furthest(call, project):
    words = "lorem ipsum dolor " * 60
    answers = [(f"{words}{number}", f"{number} {words}") for number in range(300)]
    data = of_many(call, project, answers)
    for each in data["cassettes"][:5]:
        each["tier"] = each["calls"][0]["tier"] = "failed"
    text = write(data, ".md")
    assert [each.group(1) for each in re.finditer("^## (\\w+): ", text, re.MULTILINE)][:6] == ["failed"] * 5 + [
        "changed"
    ]


HOSTILE = {
    "escape": "\x1b[2J\x1b]0;owned\x07\x9b31mred\r overwritten \u202eright to left\u2066",
    "fence": "```\n# no heading\n```\n<script>alert(1)</script>\n~~~~",
    "table": "| a | b |\n|---|---|\n| <img src=x onerror=alert(1)> | [x](javascript:alert(1)) |",
    "heading": "# one\n\n- [ ] two\n\n> three\n\n<details><summary>four</summary>",
}
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("shape", ["replaced", "edited"])
def test_no_form_lets_an_answer_be_more_than_text(call, project, kind, shape):
    text = HOSTILE[kind]
    pair = ("plain", text) if shape == "replaced" else (f"{text}\nsome words after it", f"{text}\nother words after it")
    data = of_many(call, project, [pair])
    data["cassettes"][0]["failure"] = data["cassettes"][0]["calls"][0]["reason"] = text
    data["tests"]["told"] = [{"test": f"t.py::test[{text}]", "outcome": "failed", "reason": text}]
    data["cassettes"][0]["path"] = f"cassettes/{text}.yaml"
    said = io.StringIO()
    print_drift(literal.console(width=100, file=said), data)
    forms = {suffix: write(data, suffix) for suffix in (".md", ".html", ".json")}
    for form in (said.getvalue(), *forms.values()):
        assert not RAW.search(form)
    assert json.loads(forms[".json"])["cassettes"][0]["failure"] == text
    tags = set(re.findall(r"<(\w+)", rendered(forms[".md"])))
    assert tags <= {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong", "code", "pre"}
    assert rendered(forms[".md"]).count("<h1>") == 1
    for markup in ("<script", "<img", "<a ", "<summary>four"):
        assert markup not in forms[".html"]


def test_a_provider_that_says_one_thing_to_all_is_one_line(call, project):
    data = of_many(call, project, [("a", "b")])
    data["tests"]["told"] = [
        {"test": f"t.py::test_{number}", "outcome": "failed", "reason": "ServerError: no"} for number in range(52)
    ]
    said = io.StringIO()
    print_drift(literal.console(width=100, file=said), data)
    assert "failed: t.py::test_0 and 51 more: ServerError: no\n" in said.getvalue()
    assert "- **failed** `t.py::test_0` and 51 more: `ServerError: no`\n" in write(data, ".md")

"""The forms of a refresh's report, and a metric's scores in them."""

import importlib
import io
import json
import re
import sys
from dataclasses import replace

import dspy
import pytest
from markdown_it import MarkdownIt

import lmtest
from lmtest import literal
from lmtest.cassette.interaction import Interaction, Reply
from lmtest.refresh.drift import Tier, compare
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


def test_a_call_more_is_in_the_sums_and_one_that_was_not_reached_is_in_none(call, project):
    """An agent that takes a step more costs more; a test that broke off is not cheaper for it."""
    unreached = replace(compare(call, None), tier=Tier.UNREACHED)
    calls = (compare(call, call), compare(None, call), unreached)
    cassette = CassetteDrift(path=project / "qa.yaml", test="t.py::test", calls=calls)
    data = as_data(Drift(cassettes=(cassette,)), root=project)
    once = call.usage.input_tokens + call.usage.output_tokens
    assert once
    assert data["tokens"] == {"before": once, "after": 2 * once}
    assert f"{once} → {2 * once} tokens (+100 %)" in write(data, ".md")


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
    assert metric.score(compare(call, with_text(call, fields(answer="other", n=1)))) == ((1.0, 0.0), "")
    assert metric.score(compare(call, None)) == ((1.0, None), "")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no.such:fn", "does not load: ModuleNotFoundError"),
        ("json:nothing", "does not load: AttributeError"),
        ("json", "is no function"),
        ("broken:fn", "does not load: NameError: name 'nothing' is not defined"),
    ],
)
def test_a_metric_that_is_none_is_refused(name, says, project, monkeypatch):
    (project / "broken.py").write_text("nothing")
    monkeypatch.syspath_prepend(project)
    with pytest.raises(lmtest.ConfigurationError, match=says):
        Metric(name)


SCORES = {
    "0.25": 0.25,
    "True": 1.0,
    "2": 2.0,
    "Decimal('0.5')": 0.5,
    "numpy.float32(0.5)": 0.5,
    "numpy.array([1.0])": 1.0,
    "dspy.Prediction(score=0.75, feedback='well')": 0.75,
}
NO_SCORES = {
    "None": "gave nothing (None), which is no number",
    "'0.5'": "gave '0.5' (str), which is no number",
    "[1, 0]": "gave [1, 0] (list), which is no number",
    "numpy.array([1, 0])": "gave array([1, 0]) (ndarray), which is no number",
    "float('nan')": "gave nan, which no mean can be taken of",
    "float('inf')": "gave inf, which no mean can be taken of",
    "dspy.Prediction(verdict='good')": "gave a dspy.Prediction without a score, which is no number",
    "later()": "is asynchronous",
    "1 / 0": "raised ZeroDivisionError: division by zero",
    "prediction.no_such_field": "raised AttributeError: ",
}


@pytest.fixture
def metric(project, monkeypatch):
    """A metric that gives what an expression says."""

    def make(expression):
        (project / "scores.py").write_text(
            "import dspy, numpy\n"
            "from decimal import Decimal\n\n"
            "async def later():\n    return 1.0\n\n"
            f"def score(example, prediction):\n    return {expression}\n"
        )
        monkeypatch.delitem(sys.modules, "scores", raising=False)
        importlib.invalidate_caches()
        sys.path_importer_cache.clear()
        return Metric("scores:score", project)

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return make


@pytest.mark.parametrize(("expression", "score"), SCORES.items(), ids=SCORES)
def test_numbers_truths_and_predictions_with_a_score_are_scores(call, metric, expression, score):
    made = metric(expression)
    assert made.try_on([call])
    assert made.score(compare(call, call)) == ((score, score), "")


@pytest.mark.parametrize(("expression", "says"), NO_SCORES.items(), ids=NO_SCORES)
def test_what_is_no_score_is_refused_in_one_line_when_it_is_tried(call, metric, expression, says):
    with pytest.raises(lmtest.ConfigurationError) as refused:
        metric(expression).try_on([call])
    assert f"--metric scores:score {says}" in str(refused.value)
    assert "Nothing was called. It takes (example, prediction)" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_metric_is_tried_on_an_answer_that_has_fields_if_there_is_one(call, metric):
    made = metric("len(prediction.answer)")
    assert not made.try_on([with_text(call, "no fields at all")])
    assert made.try_on([with_text(call, "no fields at all"), call])


def test_a_metric_that_raises_for_one_answer_is_told_beside_its_call_and_scores_the_rest(call, metric, project):
    made = metric("1 / prediction.n")
    good, bad = (compare(call, with_text(call, fields(answer="other", n=n))) for n in (2, 0))
    drifts = [replace(each, scores=made.score(each)[0], unscored=made.score(each)[1]) for each in (good, bad)]
    assert [each.scores for each in drifts] == [(1.0, 0.5), (1.0, None)]
    data = as_data(
        Drift(cassettes=(CassetteDrift(path=project / "a.yaml", test=None, calls=tuple(drifts)),)), root=project
    )
    said = io.StringIO()
    print_drift(literal.console(file=said, width=200), data)
    told = "--metric scores:score raised ZeroDivisionError: division by zero, for the answer now"
    assert f"1 call not scored: call 2 of a.yaml: {told}" in said.getvalue()
    assert data["cassettes"][0]["calls"][1]["unscored"] == told
    for form in (".md", ".html"):
        assert write(data, form).count("raised ZeroDivisionError") == 2
    assert "Mean score of 1 call: 1 → 0.5" in said.getvalue()


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

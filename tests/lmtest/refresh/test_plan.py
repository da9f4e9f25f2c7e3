"""What a refresh would re-record, and what that takes."""

import base64
import io
import re
import subprocess
import sys
import wave
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dspy
import pytest

import lmtest
from lmtest.cassette.pending import failed_path, fresh_path
from lmtest.lm.substitution import Substitution
from lmtest.refresh import aside, complete
from lmtest.refresh.plan import Choice, make_plan
from lmtest.refresh.result import read_calls

from .recordings import record


@pytest.fixture
def plan(project):
    (project / "tests").mkdir()
    (project / "tests" / "test_qa.py").touch()

    def make(*paths, to=(), **choice):
        choice["to"] = Substitution.parse([to] if isinstance(to, str) else to)
        return make_plan([Path(path) for path in paths] or [project], Choice(**choice), root=project)

    return make


@pytest.fixture
def owned(lm):
    return record(lm, "one?", "two?", path="owned.yaml", test="tests/test_qa.py::test_one[fr]")


def names(jobs):
    return [job.path.name for job in jobs]


def test_it_counts_calls_tokens_dollars_and_seconds(plan, owned):
    [job] = plan().due
    recorded = owned.read_text()
    tokens = sum(map(int, re.findall(r"(?:input|output)_tokens: (\d+)", recorded)))
    assert (job.calls, job.tokens, job.unpriced) == (2, tokens, 0)
    assert f'cost: "{job.usd / 2:f}"' in recorded
    assert job.seconds > 0


def test_another_model_is_priced_as_such(plan, owned):
    [job], [dearer] = plan().due, plan(to="gemini/gemini-2.5-pro").due
    assert dearer.usd > job.usd


def test_a_model_of_unknown_price_is_counted_and_not_free(plan, owned):
    [job] = plan(to="ollama/llama3").due
    assert (job.usd, job.unpriced) == (0, 2)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("tests/test_qa.py::test_one[fr]", True),
        ("tests/test_qa.py::test_one", True),
        ("tests/test_qa.py", True),
        ("tests", True),
        ("tests/test_other.py::test_one", False),
        ("tests/test_other.py", False),
    ],
)
def test_it_chooses_by_test_file_and_directory(plan, lm, owned, wanted, found):
    record(lm, "one?", path="other.yaml", test="tests/test_other.py::test_one")
    assert (names(plan(test=wanted).due) == ["owned.yaml"]) is found


@pytest.mark.parametrize("wanted", ["tests/test_qa.py::test_on", "tests/test_q", "tests/test_qa.py::test_one[de]"])
def test_a_test_that_no_cassette_is_of_is_refused_with_the_nearest(plan, owned, wanted):
    with pytest.raises(lmtest.ConfigurationError, match=r"--test .* Did you mean 'tests/test_qa.py(::test_one.*)?'\?"):
        plan(test=wanted)


@pytest.mark.parametrize("owner", ["tests/test_qa.py", "tests/test_qa.py::TestQA"])
def test_a_test_finds_the_cassette_that_its_module_or_class_shares(plan, lm, owner):
    record(lm, "one?", path="shared.yaml", test=owner)
    assert names(plan(test="tests/test_qa.py::TestQA::test_one[0]").due) == ["shared.yaml"]
    with pytest.raises(lmtest.ConfigurationError, match=r"'tests/test_qa\.py|of: tests/test_qa\.py"):
        plan(test="tests/test_other.py::TestQA::test_one[0]")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("gemini/gemini-2.5-flash", True), ("gemini-2.5-flash", True), ("gemini/*", True), ("gemini-2.5-pro", False)],
)
def test_it_chooses_by_model(plan, lm, owned, wanted, found):
    record(lm.copy(model="gemini/gemini-2.5-pro"), "one?", path="pro.yaml", test="tests/test_qa.py::test_two")
    assert ("owned.yaml" in names(plan(model=wanted).due)) is found


@pytest.mark.parametrize("choice", [{"model": "gemini/gemini-2.5-flahs"}, {"to": "gemini-2.5-flahs=openai/gpt-5"}])
def test_a_model_that_no_cassette_calls_is_refused_with_the_nearest(plan, owned, choice):
    told = "none of these cassettes calls such a model. Did you mean 'gemini/gemini-2.5-flash'?"
    with pytest.raises(lmtest.ConfigurationError, match=re.escape(told)):
        plan(**choice)


def test_where_nothing_is_near_it_says_what_there_is(plan, owned):
    with pytest.raises(lmtest.ConfigurationError, match=r"They call: gemini/gemini-2.5-flash\.$"):
        plan(model="xx")
    with pytest.raises(lmtest.ConfigurationError, match=r"They are of: tests/test_qa.py\.$"):
        plan(test="zzz")


def test_it_chooses_by_age(plan, owned):
    now = datetime.now(UTC)
    assert plan(recorded_before=now - timedelta(days=30)).due == ()
    assert names(plan(recorded_before=now + timedelta(seconds=5)).due) == ["owned.yaml"]


def test_it_chooses_what_failed_last_time(plan, owned):
    assert plan(failed=True).due == ()
    failed_path(owned).touch()
    assert names(plan(failed=True).due) == ["owned.yaml"]


def test_the_longest_recorded_comes_first(plan, lm, owned):
    older = record(lm, "three?", path="z.yaml", test="tests/test_qa.py::test_two")
    older.write_text(re.sub(r'recorded_at: "20\d\d', 'recorded_at: "2019', older.read_text()))
    assert names(plan().due) == ["z.yaml", "owned.yaml"]


def test_what_is_re_recorded_already_is_done(plan, lm, owned):
    record(lm, "one?", "two?", path="owned.yaml", mode="refresh", test="tests/test_qa.py::test_one[fr]")
    assert (names(plan().due), names(plan().done)) == ([], ["owned.yaml"])
    assert names(plan(again=True).due) == ["owned.yaml"]


def test_what_was_re_recorded_by_another_model_is_not_done(plan, lm, owned):
    record(lm, "one?", "two?", path="owned.yaml", mode="refresh", test="tests/test_qa.py::test_one[fr]")
    assert names(plan(to="gemini/gemini-2.5-pro").due) == ["owned.yaml"]


def test_only_what_calls_a_model_that_another_replaces_is_rehearsed(plan, lm, owned):
    pro = record(lm.copy(model="gemini/gemini-2.5-pro"), "one?", path="pro.yaml", test="tests/test_qa.py::test_two")
    to = "gemini-2.5-pro=gemini/gemini-3-pro"
    assert names(plan(to=to).due) == ["pro.yaml"]
    assert sorted(names(plan(to=[to, "gemini/gemini-2.5-pro"]).due)) == ["owned.yaml", "pro.yaml"]
    record(lm, "one?", path=pro.name, mode="refresh", test="tests/test_qa.py::test_two")
    assert names(plan(to=to).done) == []


def test_what_was_re_recorded_by_the_models_that_replace_some_is_done(plan, lm, monkeypatch):
    """One test asks two models, of which one is replaced."""
    to, test = ["gemini-2.5-pro=gemini/gemini-2.5-flash-lite"], "tests/test_qa.py::test_one"

    def ask(mode):
        with lmtest.use_cassette("two.yaml", mode=mode, test=test):
            for each in (lm, lm.copy(model="gemini/gemini-2.5-pro")):
                with dspy.context(lm=each):
                    dspy.Predict("question -> answer")(question="one?")

    ask("record")
    monkeypatch.setenv("LMTEST_REFRESH_TO", str(Substitution.parse(to)))
    ask("refresh")
    anew = [call.model for call in read_calls(fresh_path(Path("two.yaml")))]
    assert anew == ["gemini/gemini-2.5-flash", "gemini/gemini-2.5-flash-lite"]
    assert names(plan(to=to).done) == ["two.yaml"]
    assert names(plan().due) == ["two.yaml"]
    assert names(plan(to="gemini/gemini-2.5-flash-lite").due) == ["two.yaml"]


def test_a_cassette_without_a_test_is_skipped_and_says_what_to_do(plan, lm):
    record(lm, "one?")
    [skipped] = plan().skipped
    assert "--calls-only" in skipped.reason
    assert names(plan(by_test=False).due) == ["qa.yaml"]


def test_a_cassette_whose_test_is_gone_is_skipped_by_name(plan, lm):
    record(lm, "one?", test="tests/test_gone.py::test_one")
    [skipped] = plan().skipped
    assert "tests/test_gone.py::test_one is gone" in skipped.reason


def test_a_broken_cassette_is_skipped_among_others_and_refused_by_name(plan, owned):
    broken = Path("broken.yaml")
    broken.write_text(owned.read_text()[:-80])
    assert names(plan().due) == ["owned.yaml"]
    assert names(plan().skipped) == ["broken.yaml"]
    with pytest.raises(lmtest.CassetteFormatError):
        plan("broken.yaml")


def test_what_a_sound_sets_aside_goes_by_the_file_beside_the_cassette(plan, lm):
    """A minute of it is 1,920 tokens at $1 a million; one that nobody can read would be all that the model takes."""
    content = io.BytesIO()
    with wave.open(content, "wb") as sound:
        sound.setparams((1, 1, 8, 60 * 8, "NONE", ""))
        sound.writeframes(bytes(60 * 8))
    heard = dspy.Audio(data=base64.b64encode(content.getvalue()).decode(), audio_format="wav")
    test = "tests/test_qa.py::test_one"
    with dspy.context(lm=lm.copy(max_tokens=10)), lmtest.use_cassette("sound.yaml", mode="record", test=test):
        dspy.Predict("sound: dspy.Audio -> text: str")(sound=heard)
    [job] = plan().due
    assert Decimal("0.00192") < job.least < Decimal("0.003")
    next(Path("blobs").iterdir()).unlink()
    [job] = plan().due
    assert job.least is None


def test_a_plan_is_told_without_importing_dspy_or_pytest(plan, owned):
    """Each takes longer to import than 300 cassettes take to plan."""
    program = (
        "import sys; from click.testing import CliRunner; from lmtest.cli import cli\n"
        "told = CliRunner().invoke(cli, ['refresh', 'owned.yaml', '--dry-run', '--budget', '0.01']).output\n"
        "print('owned.yaml' in told, sorted({'dspy', 'pytest', 'litellm'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "True []\n"


def test_a_plan_looks_no_further_than_to_the_first_call_that_a_budget_holds(plan, lm, owned, monkeypatch):
    record(lm, "three?", path="z.yaml", test="tests/test_qa.py::test_two")
    looked_at, least_aside = [], aside.least_aside
    monkeypatch.setattr(aside, "least_aside", lambda path: looked_at.append(path.name) or least_aside(path))
    assert plan().least_beyond(Decimal("0.10")) is None
    assert len(looked_at) == 1
    assert 0 < plan().least_beyond(Decimal("0.0000001")) < 1
    assert len(looked_at) == 3


def test_tests_of_another_language_are_left_to_their_own_runner(plan, project, lm, refresh):
    (project / "tests" / "qa.test.js").touch()
    record(lm, "one?", path="js.yaml", test="tests/qa.test.js::answers")
    planned = plan()
    assert planned.due == ()
    [skipped] = planned.skipped
    assert skipped.reason == (
        "its test tests/qa.test.js::answers is none of pytest's: run it by its own runner with LM_MODE=refresh, then: "
        "lmtest accept js.yaml"
    )
    assert "none of pytest's" in refresh("js.yaml", "--yes")
    with pytest.raises(lmtest.ConfigurationError, match="by its own runner with LM_MODE=auto"):
        complete.tests_to_run([], root=project, test="tests/qa.test.js::answers")

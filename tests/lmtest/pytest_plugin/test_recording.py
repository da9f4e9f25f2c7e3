"""Record, replay, miss: what a marked test does."""

import re

import pytest

from lmtest.testing import ScriptedProvider, fields, server_error

CAPITAL = """
    import dspy, pytest

    pytestmark = pytest.mark.lmtest

    def test_capital():
        assert dspy.Predict("question -> answer")(question="The capital of France?").answer == "Paris"
"""


def test_what_was_recorded_is_replayed_when_the_provider_is_gone(suite):
    suite.write(test_qa=CAPITAL)
    with ScriptedProvider([fields(answer="Paris")]) as provider:
        assert suite.run(mode="record", provider=provider).green
        assert provider.left == 0
    assert suite.cassettes == ["test_qa/test_capital.yaml"]
    assert suite.run().green  # replay is the default


def test_a_test_without_a_cassette_passes_as_long_as_it_asks_nothing(suite):
    suite.write(test_qa="import pytest\n\n@pytest.mark.lmtest\ndef test_nothing(): pass")
    assert suite.run().green
    assert suite.cassettes == []


def test_a_replay_without_a_recording_says_the_command_that_makes_one(suite):
    suite.write(test_qa=CAPITAL)
    result = suite.run()
    assert result.outcomes == {"failed": 1}
    assert "LM_MODE=record pytest 'test_qa.py::test_capital'" in result.output


def test_a_changed_prompt_fails_with_the_word_that_changed(suite, paris):
    suite.write(test_qa=CAPITAL)
    suite.run(mode="record", provider=paris)
    suite.write(test_qa=CAPITAL.replace("France?", "Peru?"))
    result = suite.run()
    assert result.outcomes == {"failed": 1}
    assert "[-France-]{+Peru+}" in result.output


def test_the_traceback_of_a_miss_ends_where_the_users_code_does(suite):
    suite.write(test_qa=CAPITAL)
    output = suite.run().output
    assert ">       assert dspy.Predict(" in output
    assert "site-packages" not in output.partition("FAILURES")[2]


def test_the_traceback_of_a_fixtures_miss_ends_where_the_fixture_does(suite):
    text = """
        import dspy, pytest

        @pytest.fixture
        def capital():
            return dspy.Predict("question -> answer")(question="What is the capital of France?").answer

        @pytest.mark.lmtest
        def test_capital(capital): pass
    """
    suite.write(test_qa=text)
    output = suite.run().output.partition("ERRORS")[2]
    assert ">       return dspy.Predict(" in output or ">   return dspy.Predict(" in output
    assert "CassetteNotFound: there is no cassette" in output
    assert "in complete" not in output, "which is ours"
    assert "site-packages/dspy" not in output


SWALLOWERS = {
    "a bare except": """
        try:
            predict(question="new")
        except:
            pass
    """,
    "dspy.Parallel": """
        example = dspy.Example(question="new").with_inputs("question")
        dspy.Parallel(num_threads=2, max_errors=9, disable_progress_bar=True)([(predict, example)])
    """,
    "dspy.Evaluate": """
        examples = [dspy.Example(question="new", answer="x").with_inputs("question")]
        dspy.Evaluate(devset=examples, metric=lambda *_: 1, max_errors=9, num_threads=2)(predict)
    """,
    "dspy.Refine": """
        refine = dspy.Refine(module=predict, N=2, reward_fn=lambda *_: 1.0, threshold=1.0, fail_count=9)
        refine(question="new")
    """,
    "a skip": """
        try:
            predict(question="new")
        except Exception:
            pytest.skip("no model today")
    """,
}


RECORDED = """
import dspy, pytest

@pytest.mark.lmtest
def test_it():
    predict = dspy.Predict("question -> answer")
    predict(question="old")
"""


def replayed_with(further, suite, paris):
    """A recorded test is run again with further lines."""
    suite.write(test_qa=RECORDED)
    assert suite.run(mode="record", provider=paris).green
    (suite.path / "test_qa.py").write_text(RECORDED + further)
    return suite.run()


@pytest.mark.parametrize("body", SWALLOWERS.values(), ids=SWALLOWERS)
def test_a_miss_fails_its_test_even_when_swallowed_by(body, suite, paris):
    result = replayed_with(body.replace("\n        ", "\n    "), suite, paris)
    assert result.outcomes == {"failed": 1}
    assert "this request to gemini/gemini-2.5-flash is not recorded" in result.output
    assert result.output.count("[-old-]{+new+}") == 1


def test_misses_that_dspy_logged_are_told_once_each_and_named_by_key_in_the_log(suite, paris):
    loop = """
    examples = [(predict, dspy.Example(question=each).with_inputs("question")) for each in ("newer", "newest")]
    dspy.Parallel(num_threads=2, max_errors=9, disable_progress_bar=True)(examples)
"""
    output = replayed_with(loop, suite, paris).output
    assert [output.count(f"[-old-]{{+{word}+}}") for word in ("newer", "newest")] == [1, 1]
    keys = set(re.findall(r"is not recorded \(key (\w{12});", output))
    assert keys == set(re.findall(r"\(missed, key (\w{12}): told with the failure\)", output))
    assert len(keys) == 2


def test_a_miss_is_told_beside_the_failure_that_it_led_to(suite):
    suite.write(
        test_qa="""
        import dspy, pytest

        @pytest.mark.lmtest
        def test_it():
            answer = None
            try:
                answer = dspy.Predict("question -> answer")(question="new").answer
            except Exception:
                pass
            assert answer == "Paris"
        """
    )
    result = suite.run()
    assert result.outcomes == {"failed": 1}
    assert "assert None == 'Paris'" in result.output
    assert "lmtest: missed, and caught by the program" in result.output
    assert "there is no cassette" in result.output


def test_a_miss_that_a_fixture_swallowed_while_it_ended_is_an_error(suite):
    suite.write(
        test_qa="""
        import contextlib, dspy, pytest

        @pytest.fixture
        def farewell():
            yield
            with contextlib.suppress(Exception):
                dspy.Predict("question -> answer")(question="Bye?")

        @pytest.mark.lmtest
        def test_it(farewell):
            pass
        """
    )
    result = suite.run()
    assert result.outcomes == {"passed": 1, "errors": 1}
    assert "there is no cassette" in result.output


def test_misses_may_be_allowed(suite):
    suite.write(
        test_qa="""
        import dspy, pytest

        @pytest.mark.lmtest(allow_misses=True)
        def test_it():
            with pytest.raises(Exception, match="no cassette"):
                dspy.Predict("question -> answer")(question="new")
        """
    )
    assert suite.run().green


FAILURES = {
    "its test": "def test_it(ask):\n    ask()\n    assert 0",
    "its fixture, ending": "def test_it(ask, ends_badly):\n    ask()",
    "a skip halfway": "def test_it(ask):\n    ask()\n    pytest.skip('enough')",
}


@pytest.mark.parametrize("broken", FAILURES.values(), ids=FAILURES)
def test_a_recording_keeps_the_old_cassette_after_the_failure_of(broken, suite, provider):
    head = """
import dspy, pytest

pytestmark = pytest.mark.lmtest

@pytest.fixture
def ask():
    return lambda: dspy.Predict("question -> answer")(question="Who?")

@pytest.fixture
def ends_badly():
    yield
    assert 0

"""
    (suite.path / "test_qa.py").write_text(f"{head}def test_it(ask):\n    ask()\n")
    assert suite.run(mode="record", provider=provider).green
    cassette = suite.path / "cassettes/test_qa/test_it.yaml"
    before = cassette.read_bytes()
    (suite.path / "test_qa.py").write_text(head + broken.replace("ask()", "ask(); ask()"))
    suite.run(mode="record", provider=provider)
    assert cassette.read_bytes() == before


def test_an_expected_failure_is_recorded_like_a_pass(suite, paris):
    suite.write(
        test_qa=CAPITAL.replace('== "Paris"', '== "Rome"').replace("def test", "@pytest.mark.xfail\n    def test")
    )
    assert suite.run(mode="record", provider=paris).outcomes == {"xfailed": 1}
    assert suite.cassettes == ["test_qa/test_capital.yaml"]


def test_a_failure_of_the_provider_is_no_recording(suite):
    suite.write(test_qa=CAPITAL)
    with ScriptedProvider([server_error(503)], repeat_last=True) as provider:
        assert suite.run(mode="record", provider=provider).outcomes == {"failed": 1}
    assert suite.cassettes == []


def test_calls_of_a_fixture_are_in_the_cassette_of_its_test(suite, paris):
    suite.write(
        test_qa="""
        import dspy, pytest

        @pytest.fixture(autouse=True)
        def answer(_lm):
            return dspy.Predict("question -> answer")(question="The capital of France?").answer

        @pytest.mark.lmtest
        def test_it(answer):
            assert answer == "Paris"
        """
    )
    assert suite.run(mode="record", provider=paris).green
    assert suite.run().green


def test_a_suite_without_a_marker_is_left_alone(suite, paris):
    suite.write(test_qa=CAPITAL.replace("pytestmark", "unused"))
    assert suite.run(provider=paris).green
    assert len(paris.requests) == 1


def test_one_setting_covers_every_test(suite, paris):
    suite.write(test_qa=CAPITAL.replace("pytestmark", "unused"))
    suite.ini("lmtest_auto = true")
    assert suite.run(mode="record", provider=paris).green
    assert suite.run().green


def test_doctests_are_covered_by_the_setting_too(suite, paris):
    suite.ini("lmtest_auto = true")
    suite.write(
        qa='''
        def capital():
            """
            >>> capital()
            'Paris'
            """
            import dspy

            return dspy.Predict("question -> answer")(question="The capital of France?").answer
        '''
    )
    assert suite.run("--doctest-modules", mode="record", provider=paris).green
    assert suite.cassettes == ["qa/qa.capital.yaml"]
    assert suite.run("--doctest-modules").green


def test_a_miss_fails_a_test_that_was_expected_to_fail_otherwise(suite):
    suite.write(test_qa=CAPITAL.replace("def test", "@pytest.mark.xfail\n    def test"))
    result = suite.run()
    assert result.outcomes == {"failed": 1}
    assert "there is no cassette" in result.output


def test_the_marker_may_stand_at_some_parameters_only(suite, paris):
    suite.write(
        test_qa="""
        import dspy, pytest

        @pytest.mark.parametrize("word", [pytest.param("a", marks=pytest.mark.lmtest), "b"])
        def test_it(word):
            dspy.Predict("question -> answer")(question=word)
        """
    )
    assert suite.run("-p", "no:randomly", mode="record", provider=paris).outcomes == {"passed": 2}
    assert suite.cassettes == ["test_qa/test_it[a].yaml"]


def test_a_marker_may_limit_what_its_test_spends(suite):
    suite.write(
        test_qa=CAPITAL.replace("pytest.mark.lmtest", 'pytest.mark.lmtest(limits={"usd_per_test": "0.0000001"})')
    )
    with ScriptedProvider([fields(answer="Paris")]) as provider:
        result = suite.run(mode="record", provider=provider)
        assert provider.left == 1
    assert "BudgetExceeded" in result.output


def test_what_a_failed_test_recorded_is_not_told_as_recorded(suite, paris):
    suite.write(test_qa=CAPITAL.replace('== "Paris"', '== "Rome"'))
    result = suite.run(mode="record", provider=paris)
    assert "mode record: 1 call in 1 test" in result.output
    assert "1 recorded" not in result.output
    assert suite.cassettes == []


REFUSED = """
    import dspy, pytest

    @pytest.mark.lmtest(limits={"usd_per_run": "0.0001"})
    def test_parallel():
        qa = dspy.Predict("question -> answer")
        ask = [(qa, dspy.Example(question="Why?").with_inputs("question"))]
        [found] = dspy.Parallel(num_threads=1, max_errors=10, disable_progress_bar=True)(ask)
        GOES_ON
"""


@pytest.mark.parametrize("goes_on", ["assert found is None", "found.answer"])
def test_a_recording_that_lacks_a_call_a_limit_refused_fails_with_what_the_limit_said(suite, goes_on):
    suite.write(test_qa=REFUSED.replace("GOES_ON", goes_on))
    with ScriptedProvider([fields(answer="Because.")]) as provider:
        result = suite.run(mode="record", provider=provider)
        assert provider.requests == []
    assert result.outcomes == {"failed": 1}
    assert "BudgetExceeded" in result.output.rpartition("short test summary")[2]
    assert suite.cassettes == []

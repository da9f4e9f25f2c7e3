"""Where a project uses lmtest, no call of ``dspy.LM`` outside every cassette goes live unseen."""

import pytest

from lmtest.money.ledger import Ledger

# Another question each time: DSPy's cache outlives a test.
ASK = 'dspy.Predict("question -> answer")(question=__import__("uuid").uuid4().hex)'
UNMARKED = f"""
    import dspy

    def test_it():
        {ASK}
"""
MARKED = """
    import pytest

    @pytest.mark.lmtest
    def test_that_uses_lmtest():
        pass
"""


@pytest.mark.parametrize("mode", ["replay", "mock"])
def test_an_unmarked_test_is_refused_in_an_offline_mode_with_the_line_that_marks_it(suite, provider, mode):
    suite.write(test_a=UNMARKED)
    run = suite.run(mode=mode, provider=provider)
    assert run.outcomes == {"failed": 1}
    assert provider.requests == []
    assert "test_a.py::test_it: a call to gemini/gemini-2.5-flash came from a test without a cassette" in run.output
    assert f"in mode {mode} (from LM_MODE) nothing is called" in run.output
    assert "    @pytest.mark.lmtest\n" in run.output
    assert "allow_unmarked = ['test_a.py::test_it']" in run.output


@pytest.mark.parametrize("mode", ["replay", "mock"])
def test_an_unmarked_embedding_is_refused_likewise(suite, mode):
    suite.write(
        test_a="""
            import dspy

            def test_it():
                dspy.Embedder("openai/text-embedding-3-small", api_base="http://127.0.0.1:9/v1")("Paris")
        """
    )
    run = suite.run(mode=mode)
    assert run.outcomes == {"failed": 1}
    assert (
        "test_a.py::test_it: a call to openai/text-embedding-3-small came from a test without a cassette" in run.output
    )


def test_a_marked_embedding_is_made_up_without_a_network(suite):
    suite.write(
        test_a="""
            import dspy, pytest

            @pytest.mark.lmtest
            def test_it():
                assert dspy.Embedder("openai/text-embedding-3-small")(["Paris", "Rome"]).shape == (2, 1536)
        """
    )
    assert suite.run(mode="mock").outcomes == {"passed": 1}


@pytest.mark.parametrize("arguments", [["--lmtest-mode=replay"], ["--lmtest-dir=elsewhere"], ["--lmtest-budget=1"]])
def test_a_flag_says_that_the_project_uses_lmtest(suite, provider, arguments):
    suite.write(test_a=UNMARKED)
    assert suite.run(*arguments, provider=provider).outcomes == {"failed": 1}
    assert provider.requests == []


def test_settings_say_that_the_project_uses_lmtest(suite, provider):
    (suite.path / "pyproject.toml").write_text('[tool.lmtest]\nrepeat = "last"\n')
    suite.write(test_a=UNMARKED)
    assert suite.run(provider=provider).outcomes == {"failed": 1}
    assert provider.requests == []


def test_a_marker_anywhere_says_that_the_project_uses_lmtest(suite, provider):
    suite.write(test_a=UNMARKED, test_b=MARKED)
    assert suite.run(provider=provider).outcomes == {"failed": 1, "passed": 1}
    assert provider.requests == []


def test_a_project_that_does_not_use_lmtest_calls_as_ever(suite, provider):
    suite.write(test_a=UNMARKED)
    assert suite.run(provider=provider).outcomes == {"passed": 1}
    assert len(provider.requests) == 1


def test_a_refusal_that_the_program_caught_fails_the_test(suite, provider):
    suite.write(
        test_a=f"""
            import contextlib, dspy

            def test_it():
                with contextlib.suppress(Exception):
                    {ASK}
        """
    )
    run = suite.run(mode="replay", provider=provider)
    assert run.outcomes == {"failed": 1}
    assert "came from a test without a cassette" in run.output


def test_a_mistyped_marker_is_named(suite, provider):
    suite.ini("markers = lmtests")
    suite.write(
        test_a=f"""
            import dspy, pytest

            @pytest.mark.lmtests
            def test_it():
                {ASK}
        """
    )
    run = suite.run(mode="replay", provider=provider)
    assert "Its marker is 'lmtests': did you mean 'lmtest'?" in run.output
    assert provider.requests == []


def test_a_fixture_of_a_module_is_refused_with_the_scope_that_would_record_it(suite, provider):
    suite.write(
        test_a=f"""
            import dspy, os, pytest

            @pytest.fixture(scope="module")
            def answer():
                lm = dspy.LM("gemini/gemini-2.5-flash", api_base=os.environ["SUITE_API_BASE"], api_key="k")
                with dspy.context(lm=lm):
                    return {ASK}.answer

            def test_it(answer):
                assert answer
        """
    )
    assert suite.run(mode="replay", provider=provider).outcomes == {"errors": 1}
    assert provider.requests == []


def test_a_thread_is_refused(suite, provider):
    suite.write(
        test_a=f"""
            import dspy, threading

            def test_it():
                lm = dspy.settings.lm
                def ask():
                    with dspy.context(lm=lm):
                        try:
                            {ASK}
                        except Exception:
                            pass
                thread = threading.Thread(target=ask)
                thread.start()
                thread.join()
        """
    )
    assert suite.run(mode="replay", provider=provider).outcomes == {"failed": 1}
    assert provider.requests == []


def test_a_doctest_is_refused(suite, provider):
    (suite.path / "asking.py").write_text(f'"""\n>>> import dspy\n>>> {ASK}.answer\n\'x\'\n"""\n')
    assert suite.run("--doctest-modules", mode="replay", provider=provider).outcomes == {"failed": 1}
    assert provider.requests == []


def test_a_module_that_asks_while_it_is_collected_is_refused(suite, provider):
    suite.write(
        test_a=f"""
            import dspy, os

            lm = dspy.LM("gemini/gemini-2.5-flash", api_base=os.environ["SUITE_API_BASE"], api_key="k")
            with dspy.context(lm=lm):
                ANSWER = {ASK}.answer

            def test_it():
                pass
        """
    )
    run = suite.run(mode="replay", provider=provider, subprocess=True)
    assert run.outcomes == {"errors": 1}
    assert provider.requests == []
    assert "came outside every test, while tests were collected" in run.output


@pytest.mark.parametrize("pattern", ["test_a.py::test_it", "test_a.py::*", "*"])
def test_a_test_that_is_allowed_by_name_calls(suite, provider, pattern):
    suite.ini(f"lmtest_allow_unmarked = {pattern}")
    suite.write(test_a=UNMARKED)
    assert suite.run(mode="replay", provider=provider).outcomes == {"passed": 1}
    assert len(provider.requests) == 1


def test_the_setting_allows_by_name_too(suite, provider):
    (suite.path / "pyproject.toml").write_text('[tool.lmtest]\nallow_unmarked = ["test_a.py::*"]\n')
    suite.write(test_a=UNMARKED, test_b=UNMARKED)
    assert suite.run(provider=provider).outcomes == {"passed": 1, "failed": 1}
    assert len(provider.requests) == 1


@pytest.mark.parametrize("mode", ["live", "record"])
def test_in_a_live_mode_it_is_a_row_of_the_ledger(suite, provider, mode):
    suite.write(test_a=UNMARKED)
    assert suite.run(mode=mode, provider=provider).outcomes == {"passed": 1}
    [row] = Ledger(suite.path / ".lmtest" / "ledger.sqlite3")
    assert (row.test, row.hit, row.outcome) == ("test_a.py::test_it", "live", "ok")
    assert suite.cassettes == []


@pytest.mark.parametrize("how", [(), ("-n", "2")], ids=["in one process", "under xdist"])
def test_a_recording_run_says_that_its_calls_are_not_recorded(how, suite, provider):
    suite.write(test_a=UNMARKED, test_b=MARKED)
    recorded = suite.run(*how, mode="record", provider=provider)
    assert recorded.green
    told = "1 call of a test without a cassette went out unrecorded, and a replay refuses such."
    assert f"doubtful: test_a.py::test_it: {told} To have them recorded: @pytest.mark.lmtest" in recorded.output
    assert "doubtful" not in suite.run(*how, mode="live", provider=provider).output
    assert not suite.run().green


def test_what_may_call_unmarked_is_no_doubt(suite, provider):
    suite.ini("lmtest_allow_unmarked = test_a.py::*")
    suite.write(test_a=UNMARKED, test_b=MARKED)
    assert "doubtful" not in suite.run(mode="record", provider=provider).output


def test_in_a_live_mode_it_is_held_by_the_budget(suite, provider):
    suite.write(test_a=UNMARKED)
    run = suite.run("--lmtest-budget=0.0000001", mode="live", provider=provider)
    assert run.outcomes == {"failed": 1}
    assert "BudgetExceeded" in run.output
    assert provider.requests == []


def test_an_engine_of_the_users_own_is_none_of_ours(suite, provider):
    suite.write(
        test_a=f"""
            import dspy
            from dspy.utils import DummyLM

            def test_it():
                with dspy.context(lm=DummyLM([{{"answer": "x"}}])):
                    assert {ASK}.answer == "x"
        """
    )
    assert suite.run(mode="replay", provider=provider).outcomes == {"passed": 1}

"""The fixtures a test may ask for, and cassettes that several tests share."""

from lmtest import running_test

ASK = """
import dspy, pytest

def ask(question):
    return dspy.Predict("question -> answer")(question=question).answer

"""


def test_asking_for_the_cassette_is_enough_to_have_one(suite, paris):
    suite.write(
        test_qa=ASK + "def test_it(lmtest_cassette):\n    ask('Who?')\n    assert len(lmtest_cassette.calls) == 1"
    )
    assert suite.run(mode="record", provider=paris).green
    assert suite.run().green


def test_the_lm_fixture_is_the_model_of_every_program_of_the_test(suite, paris):
    text = """
def test_it(lmtest_lm):
    assert ask("The capital of France?") == "Paris"
    assert lmtest_lm.model == "gemini/gemini-2.5-pro"
    assert dspy.settings.lm is lmtest_lm
"""
    config = """
@pytest.fixture
def lmtest_config():
    return {{"lm": {{"model": "gemini/gemini-2.5-pro", "api_base": "{}/v1beta", "api_key": "k"}}}}
"""
    suite.write(conftest="import pytest\n" + config.format(paris.url), test_qa=ASK + text)
    assert suite.run(mode="record").green
    suite.write(conftest="import pytest\n" + config.format("http://192.0.2.1"))
    assert suite.run().green


def test_the_config_fixture_speaks_for_a_directory_and_markers_over_it(suite):
    inner = suite.path / "mocked"
    inner.mkdir()
    (inner / "conftest.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef lmtest_config():\n    return {'mode': 'mock'}\n"
    )
    text = """
import pytest

@pytest.mark.lmtest
def test_by_the_directory(lmtest_mode):
    assert lmtest_mode == "mock"

@pytest.mark.lmtest(mode="live")
def test_by_the_marker(lmtest_mode):
    assert lmtest_mode == "live"
"""
    (inner / "test_inner.py").write_text(text)
    assert suite.run().outcomes == {"passed": 2}


def test_a_config_that_cannot_be_used_names_the_fixture(suite):
    suite.write(conftest="import pytest\n\n@pytest.fixture\ndef lmtest_config():\n    return {'scrubs': 'uuid'}\n")
    suite.write(test_qa="import pytest\n\n@pytest.mark.lmtest\ndef test_it(): pass")
    assert "the fixture lmtest_config of test_qa.py::test_it does not know 'scrubs'" in suite.run().output


SEVERAL = (
    ASK
    + """
@pytest.mark.lmtest
def test_it(lmtest_use_cassette, lmtest_cassette):
    ask("of the program")
    with lmtest_use_cassette("judge") as judge:
        ask("of the judge")
    ask("of the program again")
    assert len(judge.calls) == 1
    assert len(lmtest_cassette.calls) == 2
"""
)


def test_a_test_has_further_cassettes_beside_its_own(suite, paris):
    suite.write(test_qa=SEVERAL)
    result = suite.run(mode="record", provider=paris)
    assert result.green
    assert "3 calls in 1 test (3 recorded), 2 cassettes" in result.output
    assert suite.cassettes == ["test_qa/test_it.judge.yaml", "test_qa/test_it.yaml"]
    assert suite.run().green


def test_a_failing_test_saves_none_of_its_cassettes(suite, paris):
    suite.write(test_qa=SEVERAL + "    assert 0\n")
    assert suite.run(mode="record", provider=paris).outcomes == {"failed": 1}
    assert suite.cassettes == []


def test_a_miss_of_a_further_cassette_fails_the_test_too(suite, paris):
    suite.write(test_qa=SEVERAL)
    suite.run(mode="record", provider=paris)
    suite.write(test_qa=SEVERAL.replace('ask("of the judge")', 'pytest.raises(Exception, ask, "of the jury")'))
    result = suite.run()
    assert result.outcomes == {"failed": 1}
    assert "[-judge-]{+jury+}" in result.output


SHARED = (
    ASK
    + """
pytestmark = pytest.mark.lmtest(scope="module")

@pytest.fixture(scope="module")
def index():
    with dspy.context(lm=dspy.LM("gemini/gemini-2.5-flash", api_base=BASE, api_key="k", num_retries=0)):
        return ask("once for the module")

def test_a(index):
    ask("of a")

def test_b(index, lmtest_cassette):
    ask("of b")
    assert len(lmtest_cassette.calls) == 3
"""
)


def shared(suite, provider, text=SHARED):
    suite.write(test_qa=text.replace("BASE", repr(f"{provider.url}/v1beta")))
    return suite.run("-p", "no:randomly", mode="record", provider=provider)


def test_a_module_may_share_one_cassette_with_the_calls_of_its_fixtures(suite, paris):
    assert shared(suite, paris).outcomes == {"passed": 2}
    assert suite.cassettes == ["test_qa.yaml"]
    suite.write(test_qa=SHARED.replace("BASE", "None"))
    assert suite.run("-p", "no:randomly").outcomes == {"passed": 2}


def test_each_test_of_a_shared_cassette_counts_its_own_calls(suite, paris):
    shared(suite, paris)
    suite.write(test_qa=SHARED.replace("BASE", "None"))
    result = suite.run("-p", "no:randomly", "--lmtest-report", "run.json")
    assert "3 calls in 2 tests (3 played), 1 cassette" in result.output


def test_a_shared_cassette_is_not_saved_when_one_of_its_tests_fails(suite, paris):
    assert shared(suite, paris, SHARED + "    assert 0\n").outcomes == {"passed": 1, "failed": 1}
    assert suite.cassettes == []


def test_a_shared_cassette_of_an_aborted_run_is_not_saved(suite, paris):
    text = SHARED + "\ndef test_c():\n    pytest.exit('enough')\n"
    shared(suite, paris, text)
    assert suite.cassettes == []


def test_an_aborted_run_leaves_nothing_of_its_last_test_behind(suite, paris):
    shared(suite, paris, SHARED + "\ndef test_c():\n    pytest.exit('enough')\n")
    assert running_test() is None


def test_a_miss_fails_only_the_test_that_missed(suite, paris):
    shared(suite, paris)
    suite.write(test_qa=SHARED.replace("BASE", "None").replace('ask("of a")', 'pytest.raises(Exception, ask, "new")'))
    result = suite.run("-p", "no:randomly")
    assert "FAILED test_qa.py::test_a" in result.output
    assert (
        "FAILED test_qa.py::test_b - AssertionError: assert 2 == 3" in result.output
    )  # it has one call fewer, and no miss


def test_a_class_and_a_session_may_share_too(suite, paris):
    text = """
@pytest.mark.lmtest(scope="class")
class TestQA:
    def test_a(self): ask("a")
    def test_b(self): ask("b")

@pytest.mark.lmtest(scope="session")
def test_c(): ask("c")
"""
    suite.write(test_qa=ASK + text, test_other=ASK + '@pytest.mark.lmtest(scope="session")\ndef test_d(): ask("d")')
    assert suite.run(mode="record", provider=paris).outcomes == {"passed": 4}
    assert suite.cassettes == ["session.yaml", "test_qa/TestQA.yaml"]
    assert suite.run().outcomes == {"passed": 4}


def test_an_unmarked_test_after_a_module_fixture_that_set_a_model_is_left_alone(suite, paris):
    text = """
@pytest.fixture(scope="module")
def model():
    with dspy.context(lm=dspy.LM("gemini/gemini-2.5-flash", api_base=BASE, api_key="k")):
        yield

@pytest.mark.lmtest
def test_a(model): ask("a")

def test_b(model): pass
"""
    suite.write(test_a=ASK + text.replace("BASE", repr(f"{paris.url}/v1beta")), test_b=ASK + "def test_c(): ask('c')")
    assert suite.run("-p", "no:randomly", mode="record", provider=paris).outcomes == {"passed": 3}


def test_a_skipped_test_opens_no_cassette(pytester):
    pytester.makepyfile("""
        import pytest

        @pytest.mark.lmtest("broken")
        @pytest.mark.skip
        def test_it():
            raise AssertionError
    """)
    (pytester.mkdir("cassettes") / "broken.yaml").write_text("no cassette")
    pytester.runpytest_subprocess().assert_outcomes(skipped=1)


def test_a_cassette_asked_for_while_the_test_runs_is_closed_with_it(pytester):
    pytester.makepyfile("""
        from lmtest.lm import seam

        def test_asks(request):
            assert request.getfixturevalue("lmtest_cassette").mode.value == "mock"
            assert seam.bound() is not None

        def test_after():
            assert seam.bound() is None
    """)
    pytester.runpytest_subprocess("--lmtest-mode=mock", "-p", "no:randomly").assert_outcomes(passed=2)


COUNTED = """
import pytest

@pytest.mark.lmtest
def test_it(): pass
"""
TELLING = """
def pytest_fixture_setup(fixturedef):
    print(f"set up {fixturedef.argname}")
"""


def test_a_cassette_is_opened_without_a_fixture_where_nobody_overrides_one(suite):
    suite.write(test_qa=COUNTED, conftest=TELLING)
    assert "set up lmtest" not in suite.run("-s").output

    suite.write(test_qa=COUNTED + "\n@pytest.fixture\ndef lmtest_cassette_name(): return 'mine.yaml'\n")
    assert "set up lmtest_cassette" in suite.run("-s").output

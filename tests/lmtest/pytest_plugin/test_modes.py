"""Who decides the mode, and what is said to a word that is none."""

import functools

import pytest

from lmtest.testing import ScriptedProvider, fields

MODE = """
    import pytest

    @pytest.mark.lmtest(mode="record")
    def test_mode(lmtest_mode):
        print(f"mode is {lmtest_mode}")
"""


@pytest.mark.parametrize(
    ("arguments", "variable", "decided"),
    [((), None, "record"), ((), "live", "live"), (("--lmtest-mode", "mock"), "live", "mock")],
    ids=["the marker alone", "the environment over the marker", "the flag over both"],
)
def test_the_mode_is_decided_by(arguments, variable, decided, suite):
    suite.write(test_mode=MODE)
    assert f"mode is {decided}" in suite.run("-s", *arguments, mode=variable).output


@pytest.mark.parametrize(
    ("arguments", "mode", "who"), [(("--lmtest-mode", "replai"), None, "--lmtest-mode"), ((), "replai", "LM_MODE")]
)
def test_an_unknown_mode_ends_the_run_before_a_test_with_one_sentence(arguments, mode, who, suite):
    suite.write(test_mode=MODE)
    result = suite.run(*arguments, mode=mode)
    (sentence,) = result.errors.strip().splitlines()
    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert f"{who} is 'replai'" in sentence
    assert "Did you mean 'replay'?" in sentence


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("mod='mock'", "does not know 'mod'. Did you mean 'mode'?"),
        ("mode='moc'", "Did you mean 'mock'?"),
        ("scope='modul'", "scope is 'modul'; it can be function, class, module, session."),
        ("max_age='soon'", "max_age is 'soon', which is no age; write it like 12h, 30d or 8w."),
        ("allow_hosts=5", "test_it: allow_hosts is 5; it can be a string or a list of strings."),
        ("allow_hosts=['http://127.0.0.1:8080']", "Give the host alone: '127.0.0.1'."),
        ("allow_hosts='api.example.com:443'", "Give the host alone: 'api.example.com'."),
        ("allow_misses='yes'", "allow_misses is 'yes'; it can be True or False."),
        ("repeat='first'", "test_it: repeat is 'first'; it can be last."),
        ("lm='gemini'", "lm is 'gemini'; give arguments of dspy.LM"),
        ("limits={'usd': 1}", "@pytest.mark.lmtest(limits=...) has 'usd', which is no limit."),
        ("''", "test_it: the cassette's name is ''"),
        ("5", "test_it: the cassette's name is 5"),
        ("'../../etc/x'", "outside the cassette directory; give one inside, such as 'etc/x'"),
        ("'/etc/x'", "outside the cassette directory"),
        ("'a', 'b'", "takes one positional argument, the cassette"),
    ],
)
def test_a_marker_that_cannot_be_used_fails_its_test_with_one_sentence(argument, said, suite):
    suite.write(test_qa=f"import pytest\n\n@pytest.mark.lmtest({argument})\ndef test_it(): pass\n")
    (suite.path / "cassettes/test_qa").mkdir(parents=True)
    (suite.path / "cassettes/test_qa/test_it.yaml").write_text(HEADER)
    result = suite.run()
    assert result.outcomes == {"errors": 1}
    assert said in result.output
    assert "Traceback" not in result.output


HEADER = 'format: 1\nrecorded_at: "2026-11-01T00:00:00Z"\nsource: stand-in\nlmtest: "0.1.0"\n'


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("lmtest_max_age = soon", "lmtest_max_age is 'soon', which is no age"),
        ("lmtest_on_expiry = explode", "lmtest_on_expiry is 'explode'; it can be warn, fail, rerecord."),
        ("lmtest_allow_hosts = http://127.0.0.1:8080", "Give the host alone: '127.0.0.1'."),
        ("lmtest_auto = maybe", "lmtest_auto is neither true nor false."),
        ("lmtest_unused = maybe", "lmtest_unused is 'maybe'; it can be ignore, warn, fail."),
    ],
)
def test_a_setting_that_cannot_be_used_ends_the_run_with_one_sentence(setting, said, suite):
    suite.write(test_mode=MODE)
    suite.ini(setting)
    result = suite.run()
    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert said in result.errors


def test_the_closest_marker_wins_over_those_around_it(suite):
    suite.write(
        test_mode="""
        import pytest

        pytestmark = pytest.mark.lmtest(mode="record")

        @pytest.mark.lmtest(mode="live")
        class TestModes:
            def test_of_the_class(self, lmtest_mode):
                assert lmtest_mode == "live"

            @pytest.mark.lmtest(mode="mock")
            def test_of_its_own(self, lmtest_mode):
                assert lmtest_mode == "mock"

        def test_of_the_module(lmtest_mode):
            assert lmtest_mode == "record"
        """
    )
    assert suite.run().outcomes == {"passed": 3}


def test_help_and_markers_tell_all_there_is(suite):
    told = suite.run("--help").output
    for name in ("mode", "dir", "budget", "report", "unused", "prune"):
        assert f"--lmtest-{name}" in told
    for name in ("auto", "dir", "allow_hosts", "max_age", "on_expiry", "unused"):
        assert f"lmtest_{name} (" in told
    assert "@pytest.mark.lmtest(cassette=None" in suite.run("--markers").output


def test_mock_mode_needs_neither_cassette_nor_provider(suite):
    suite.write(
        test_qa="""
        import dspy, pytest

        @pytest.mark.lmtest
        def test_it():
            assert dspy.Predict("question -> answer")(question="Who?").answer
        """
    )
    assert suite.run(mode="mock").green
    assert suite.cassettes == []


LIVE = """
    import dspy, pytest

    @pytest.mark.lmtest
    @pytest.mark.parametrize("number", range(4))
    def test_it(number):
        dspy.Predict("question -> answer", max_tokens=10)(question=f"What is {number}?")
"""


@pytest.mark.parametrize("how", [(), ("-n", "2")], ids=["in one process", "under xdist"])
def test_a_budget_is_for_all_live_calls_of_the_run(how, suite, provider):
    suite.write(test_qa=LIVE)
    result = suite.run(*how, "--lmtest-budget", "0.0000001", mode="live", provider=provider)
    assert result.outcomes == {"failed": 4}
    assert "BudgetExceeded" in result.output
    assert provider.requests == []
    assert suite.run("--lmtest-budget", "1", mode="live", provider=provider).green


def test_the_budget_flag_wins_over_the_environment(suite, provider):
    suite.write(test_qa=LIVE)
    environ = {"LMTEST_USD_PER_RUN": "0.0000001"}
    assert suite.run("--lmtest-budget", "1", mode="live", provider=provider, environ=environ).green


def test_a_budget_that_is_no_amount_ends_the_run_with_one_sentence(suite):
    suite.write(test_qa=LIVE)
    result = suite.run("--lmtest-budget", "much")
    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert "--lmtest-budget" in result.errors
    assert "'much'" in result.errors


SETTINGS = {
    "a name that is none": ("casette_dir = 'x'", "has no setting 'casette_dir'. Did you mean 'cassette_dir'?"),
    "a truth that is none": ("record_failures = 'yes'", "record_failures: Input should be a valid boolean, not 'yes'"),
    "a mode that is none": ("mode = 'mok'", "[tool.lmtest] in pyproject.toml is 'mok', which is no mode."),
    "a limit that is none": ("limits = {usd = 1}", "[tool.lmtest.limits] in pyproject.toml has 'usd', which is no"),
}


@pytest.mark.parametrize("how", [(), ("-n", "1")], ids=["in one process", "under xdist"])
@pytest.mark.parametrize(("setting", "said"), SETTINGS.values(), ids=SETTINGS)
def test_a_project_whose_settings_are_wrong_runs_no_test(setting, said, how, suite):
    suite.write(test_mode="import pytest\n\n@pytest.mark.lmtest\ndef test_it(lmtest_mode): pass\n")
    (suite.path / "pyproject.toml").write_text(f"[tool.lmtest]\n{setting}\n")
    result = suite.run(*how)
    (sentence,) = result.errors.strip().splitlines()
    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert said in sentence


WRONG = {
    "an empty cassette": ("", "", "test_it.yaml:1: "),
    "a repetition that is none": ("repeat=True", None, "repeat is True; it can be last."),
    "an age that is none": ("max_age='30'", None, "max_age is '30', which is no age"),
    "a mode that is none": ("mode='mok'", None, "test_qa.py::test_it: mode is 'mok', which is no mode."),
}


@pytest.mark.parametrize(("argument", "cassette", "said"), WRONG.values(), ids=WRONG)
def test_what_a_test_cannot_be_set_up_with_is_told_once(argument, cassette, said, suite):
    suite.write(test_qa=f"import pytest\n\n@pytest.mark.lmtest({argument})\ndef test_it(): pass\n")
    (suite.path / "cassettes/test_qa").mkdir(parents=True)
    (suite.path / "cassettes/test_qa/test_it.yaml").write_text(HEADER if cassette is None else cassette)
    output = suite.run().output.partition("short test summary")[0]
    assert output.count(said) == 1
    assert "another exception" not in output
    assert "traceback entries are hidden" not in output


def test_an_age_that_is_none_is_told_without_a_cassette_too(suite):
    suite.write(test_qa="import pytest\n\n@pytest.mark.lmtest(max_age='30')\ndef test_it(): pass\n")
    assert "max_age is '30', which is no age" in suite.run().output


def test_an_argument_of_the_lm_that_is_nearly_one_is_refused(suite):
    text = """
        import pytest

        @pytest.mark.lmtest(lm={"modell": "openai/gpt-5"})
        def test_wrong(lmtest_lm): pass

        @pytest.mark.lmtest(lm={"model": "openai/gpt-5", "top_k": 3})
        def test_right(lmtest_lm): pass
    """
    suite.write(test_qa=text)
    result = suite.run()
    assert result.outcomes == {"passed": 1, "errors": 1}
    assert "test_qa.py::test_wrong: lm has 'modell'. Did you mean 'model'?" in result.output


def test_an_address_of_ipv6_is_a_host(suite):
    suite.write(test_qa="import pytest\n\n@pytest.mark.lmtest(allow_hosts='2001:db8::1')\ndef test_it(): pass\n")
    assert suite.run().green


@pytest.mark.parametrize(("mode", "told"), [("live", True), ("replay", False)])
def test_prices_that_can_match_nothing_are_told_where_a_live_run_begins(mode, told, suite):
    suite.write(test_qa="def test_it(): pass")
    (suite.path / "prices.toml").write_text('["openai/gpt-*"]\ninput = 1\noutput = 2\n')
    result = suite.run(mode=mode, environ={"LMTEST_PRICES": "prices.toml"})
    assert result.green
    line = "lmtest: prices.toml (LMTEST_PRICES) has a price of 'openai/gpt-*', which is no pattern"
    assert (line in result.output.partition("collected")[0]) is told


def test_a_budget_of_a_test_is_refused_where_a_session_shares_its_cassette(suite):
    text = """
        import dspy, pytest

        @pytest.mark.lmtest(scope="SCOPE")
        def test_it(): dspy.Predict("question -> answer")(question="Who?")
    """
    with ScriptedProvider([fields(answer="You.")], repeat_last=True) as provider:
        run = functools.partial(suite.run, mode="record", provider=provider, environ={"LMTEST_USD_PER_TEST": "1"})
        suite.write(test_qa=text.replace("SCOPE", "session"))
        assert "usd_per_test is $1, and these calls belong to no test" in run().output
        assert provider.requests == []
        suite.write(test_qa=text.replace("SCOPE", "module"))
        assert run().green

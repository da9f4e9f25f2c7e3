"""What holds where nobody set a limit: a dollar a run in pytest, a refresh and a worker; elsewhere nothing."""

import json
import os
import signal
import subprocess
import sys

import dspy
import pytest
from click.testing import CliRunner

import lmtest
from lmtest.cli import cli
from lmtest.http.server import StandIn
from lmtest.settings import load
from lmtest.testing import ScriptedProvider, SuiteRunner
from python_worker.client import Reason, WorkerError, connect

MODEL = "gemini/gemini-2.5-flash"
SUITE = """
    import dspy, lmtest, pytest

    @pytest.mark.lmtest
    def test_it():
        dspy.Predict("question -> answer", max_tokens=100)(question="What is the capital of France?")
"""
DEAR = f'["{MODEL}"]\ninput = 0\noutput = 11000\n'  # 100 tokens of output cost a dollar ten at worst
REFUSED = "usd_per_run is $1.00 by default"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [
        name for name in os.environ if name.startswith(("LM_", "LMTEST_", "TEST_MODE", "CI", "GEMINI_", "GOOGLE_"))
    ]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def provider():
    with StandIn() as server:
        yield server


@pytest.fixture
def dear(tmp_path_factory, monkeypatch):
    prices = tmp_path_factory.mktemp("prices") / "prices.toml"
    prices.write_text(DEAR)
    monkeypatch.setenv("LMTEST_PRICES", str(prices))
    return {"LMTEST_PRICES": str(prices)}


@pytest.fixture
def suite(pytester):
    runner = SuiteRunner(pytester, options=("-o", "asyncio_default_fixture_loop_scope=function"))
    runner.write(test_qa=SUITE)
    return runner


def budget_line(result):
    return [line for line in result.output.splitlines() if line.startswith("budget:")]


@pytest.mark.parametrize("mode", ["record", "live", "auto"])
def test_pytest_holds_a_run_to_a_dollar_and_says_how_to_lift_that(mode, suite, provider, dear):
    result = suite.run(mode=mode, provider=provider, environ=dear)

    assert provider.requests == []
    assert REFUSED in result.output
    assert "Raise usd_per_run (LMTEST_USD_PER_RUN) (or lift it: none)" in result.output
    assert budget_line(result) == [
        "budget: $1.00 a run by default; --lmtest-budget USD sets another, and 0 or none lifts it"
    ]


@pytest.mark.parametrize("lifted", ["0", "none"])
def test_a_flag_lifts_it_and_the_summary_says_so(lifted, suite, provider, dear):
    result = suite.run("--lmtest-budget", lifted, mode="live", provider=provider, environ=dear)

    assert result.green
    assert budget_line(result) == ["budget: none, usd_per_run is lifted"]


@pytest.mark.parametrize("how", ["environment", "pyproject", "marker"])
def test_it_is_lifted_and_set_in_every_place_where_a_limit_is(how, suite, provider, dear):
    environ = dear | ({"LMTEST_USD_PER_RUN": "none"} if how == "environment" else {})
    if how == "pyproject":
        (suite.path / "pyproject.toml").write_text("[tool.lmtest.limits]\nusd_per_run = 2\n")
    if how == "marker":
        suite.write(test_qa=SUITE.replace("mark.lmtest", "mark.lmtest(limits={'usd_per_run': 0})"))

    assert suite.run(mode="live", provider=provider, environ=environ).green


def test_a_replay_has_no_budget_to_speak_of(suite, provider):
    suite.run(mode="record", provider=provider)

    assert budget_line(suite.run()) == []


def test_a_ledger_that_is_off_keeps_no_default_and_refuses_nothing(suite, provider):
    assert suite.run(mode="live", provider=provider, environ={"LMTEST_LEDGER": "off"}).green


UNLISTED = """
    import os
    import dspy, lmtest, pytest

    @pytest.mark.lmtest
    @pytest.mark.parametrize("question", ["one?", "two?"])
    def test_it(question):
        lm = dspy.LM("gemini/of-the-house", api_key="any-key-will-do", api_base=os.environ["SUITE_API_BASE"])
        with dspy.context(lm=lm):
            dspy.Predict("question -> answer", max_tokens=100)(question=question)
"""


def test_a_model_of_unknown_price_passes_the_default_with_one_line_of_warning(suite, caplog):
    suite.write(test_qa=UNLISTED)

    with ScriptedProvider([None], repeat_last=True) as anything:
        assert suite.run(mode="live", provider=anything).green
    [warned] = [each for each in caplog.messages if "default budget" in each]
    assert warned.startswith("The default budget does not hold calls to 'gemini/of-the-house': their price is unknown.")


def test_a_model_of_unknown_price_is_refused_by_a_budget_that_somebody_set(suite, provider):
    suite.write(test_qa=UNLISTED)

    result = suite.run("--lmtest-budget", "1", mode="live", provider=provider)
    assert result.outcomes == {"failed": 2}
    assert "has no known price" in result.output


def test_outside_pytest_use_cassette_has_no_budget_that_nobody_set(provider, dear):
    lm = dspy.LM(MODEL, api_base=f"{provider.url}/v1beta", api_key="any-key", max_tokens=100, cache=False)
    with dspy.context(lm=lm), lmtest.use_cassette(mode="live"):
        dspy.Predict("question -> answer")(question="What is the capital of France?")

    assert lmtest.budget_left(MODEL) is None


def test_end_to_end_suites_ask_ten_times_a_minute_unless_set_otherwise(suite, provider):
    suite.write(test_qa=SUITE + "\n    test_again = test_it\n")

    layered = {"TEST_MODE": "e2e", "LMTEST_MAX_WAIT": "0"}
    result = suite.run(provider=provider, environ=layered)
    assert result.outcomes == {"passed": 1, "failed": 1}
    assert "'requests_per_minute' is 10 in 60 s" in result.output
    for said in ("none", "60000"):
        own = {"LMTEST_REQUESTS_PER_MINUTE": said, "LMTEST_LEDGER": f"{said}.db", "LMTEST_MAX_WAIT": "none"}
        assert suite.run(provider=provider, environ=layered | own).green


@pytest.mark.parametrize("how", [(), ("--calls-only",)], ids=["by test", "calls only"])
def test_a_refresh_is_held_to_a_dollar(how, suite, provider, dear):
    assert suite.run(mode="record", provider=provider, environ={"LMTEST_PRICES": ""}).green
    provider.requests.clear()
    base = f"{provider.url}/v1beta"
    command = [sys.executable, "-m", "lmtest", "refresh", "--all", "--yes", "--report", "drift.json", *how]
    environ = {**os.environ, **dear, "SUITE_API_BASE": base, "GEMINI_API_KEY": "any-key"}
    api_base = ["--api-base", base] if how else []
    ended = subprocess.run(
        [*command, *api_base], cwd=suite.path, env=environ, capture_output=True, text=True, timeout=120, check=False
    )

    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert REFUSED in json.loads((suite.path / "drift.json").read_text())["stopped"]
    assert provider.requests == []


@pytest.fixture
def execute(project, provider):
    """Execute a program on a worker that was started so; gives its failure, or None."""
    started = []

    def run(*arguments, mode="live", **environ):
        command = [sys.executable, "-m", "python_worker", "serve", "--port", "0", "--lm-mode", mode]
        process = subprocess.Popen(
            [*command, "--api-base", f"{provider.url}/v1beta", *arguments],
            cwd=project, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        started.append(process)
        port = process.stdout.readline().strip().removeprefix("GRPC_READY:")
        with connect(f"127.0.0.1:{port}") as client:
            client.create_signature("signature qa: :string question -> :string answer")
            client.create_program("qa", signature="qa", max_tokens=100)
            try:
                client.execute("qa", {"question": "What is the capital of France?"})
            except WorkerError as error:
                return error
        return None

    yield run
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.mark.parametrize("mode", ["record", "live"])
def test_a_worker_is_held_to_a_dollar(mode, execute, provider, dear):
    refused = execute(mode=mode, GEMINI_API_KEY="any-key")

    assert refused.reason is Reason.BUDGET_EXCEEDED
    assert REFUSED in refused.message
    assert provider.requests == []
    lifted = ("--limit", "usd_per_run=none", "--data-dir", "another")
    assert execute(*lifted, mode=mode, GEMINI_API_KEY="any-key") is None


def test_pytest_takes_the_key_for_tests_where_there_is_no_other(suite, monkeypatch):
    suite.write(test_qa="import os\n\ndef test_it(): assert os.environ['GEMINI_API_KEY'] == 'expected'\n")

    assert suite.run(environ={"GEMINI_TEST_API_KEY": "expected"}).green
    assert suite.run(environ={"GEMINI_TEST_API_KEY": "another", "GEMINI_API_KEY": "expected"}).green
    assert "GEMINI_API_KEY" not in os.environ


def test_doctor_finds_the_key_for_tests(monkeypatch):
    monkeypatch.setenv("GEMINI_TEST_API_KEY", "any-key")
    told = CliRunner().invoke(cli, ["doctor"]).stdout
    assert "GEMINI_TEST_API_KEY, for gemini/gemini-2.5-flash" in told


def test_the_cassette_directory_is_the_environments_where_no_setting_says_another(suite, provider, monkeypatch):
    environ = {"LM_CACHE_DIR": "kept"}
    suite.run(mode="record", provider=provider, environ=environ)
    assert [path.parts[-3] for path in suite.path.rglob("*.yaml")] == ["kept"]
    assert suite.run(environ=environ).green

    (suite.path / "pyproject.toml").write_text('[tool.lmtest]\ncassette_dir = "ours"\n')
    suite.run(mode="record", provider=provider, environ=environ)
    assert {path.parts[-3] for path in suite.path.rglob("*.yaml")} == {"kept", "ours"}
    monkeypatch.chdir(suite.path)
    monkeypatch.setenv("LM_CACHE_DIR", "kept")
    assert load()[0].cassette_dir == "ours"


def test_a_worker_takes_the_key_for_tests_and_the_cassette_directory_from_the_environment(execute, project):
    assert execute(mode="record", GEMINI_TEST_API_KEY="any-key", LM_CACHE_DIR="kept") is None
    assert len(list((project / "kept").rglob("*.yaml"))) == 1

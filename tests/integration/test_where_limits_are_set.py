"""Every limit can be set from code, flags, environment, marker and pyproject.toml, and each of them stops a call.

Each test sets a budget of nothing in one place, by model or for all, and sees that no request arrives.
"""

import json
import os
import re
import signal
import subprocess
import sys

import dspy
import pytest

import lmtest
from lmtest.http.server import StandIn
from lmtest.testing import SuiteRunner
from python_worker.client import Reason, SessionLimits, SessionLM, WorkerError, connect

MODEL = "gemini/gemini-2.5-flash"
WHOSE = pytest.mark.parametrize("model", [None, MODEL], ids=["of all models", "of one model"])
LITTLE = "0.000001"  # less than any call could cost
NOTHING = f"usd_per_run={LITTLE}"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("LM_MODE", "LMTEST_", "TEST_MODE", "CI"))]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def provider():
    with StandIn() as server:
        yield server


def as_text(model, limit=NOTHING):
    return f"{model}:{limit}" if model else limit


def as_limits(model):
    nothing = lmtest.Limits(usd_per_run=LITTLE)
    return lmtest.Limits(by_model={model: nothing}) if model else nothing


def as_table(model):
    return {model: {"usd_per_run": LITTLE}} if model else {"usd_per_run": LITTLE}


def write_pyproject(folder, model, usd=LITTLE):
    table = f'[tool.lmtest.limits."{model}"]' if model else "[tool.lmtest.limits]"
    (folder / "pyproject.toml").write_text(f"{table}\nusd_per_run = {usd}\n", encoding="utf-8")


# ── use_cassette and lmtest.LM ───────────────────────────────────────────────────────────────────────────────────────


def ask_use_cassette(provider, **options):
    lm = dspy.LM(MODEL, api_base=f"{provider.url}/v1beta", api_key="any-key", max_tokens=100, cache=False)
    with dspy.context(lm=lm), lmtest.use_cassette(mode="live", **options):
        dspy.Predict("question -> answer")(question="What is the capital of France?")


def ask_lm(provider, **options):
    lm = lmtest.LM(
        MODEL, cassette="qa.yaml", mode="live", api_base=f"{provider.url}/v1beta", api_key="any-key", max_tokens=100,
        **options,
    )  # fmt: skip
    with lm, dspy.context(lm=lm):
        dspy.Predict("question -> answer")(question="What is the capital of France?")


HOSTS = pytest.mark.parametrize("ask", [ask_use_cassette, ask_lm])


@HOSTS
@WHOSE
@pytest.mark.parametrize("form", [as_limits, as_table])
def test_code(ask, form, model, provider):
    with pytest.raises(lmtest.BudgetExceeded, match="usd_per_run"):
        ask(provider, limits=form(model))
    assert provider.requests == []


@HOSTS
@pytest.mark.parametrize(
    ("name", "value"),
    [("LMTEST_USD_PER_RUN", LITTLE), ("LMTEST_LIMITS", NOTHING), ("LMTEST_LIMITS", f"{MODEL}:{NOTHING}")],
)
def test_environment(ask, name, value, provider, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(lmtest.BudgetExceeded, match="usd_per_run"):
        ask(provider, limits=lmtest.Limits(usd_per_run=5, by_model={MODEL: lmtest.Limits(usd_per_run=5)}))
    assert provider.requests == []


@HOSTS
@WHOSE
def test_pyproject(ask, model, provider, project):
    write_pyproject(project, model)
    with pytest.raises(lmtest.BudgetExceeded, match="usd_per_run"):
        ask(provider)
    assert provider.requests == []


@HOSTS
@WHOSE
def test_code_goes_before_pyproject_and_the_environment_before_code(ask, model, provider, project, monkeypatch):
    write_pyproject(project, model)
    ask(provider, limits=lmtest.Limits.parse([as_text(model, "usd_per_run=5")], source="the test"))
    monkeypatch.setenv("LMTEST_LIMITS", as_text(model, "usd_per_run=5"))
    ask(provider, limits=as_limits(model))
    assert len(provider.requests) == 2


@HOSTS
def test_a_user_s_own_limits_hold_where_they_are_tighter(ask, provider, monkeypatch):
    given = {"limits": lmtest.Limits(usd_per_run=5)}
    user = {"tighter": lmtest.Limits(usd_per_run=LITTLE)}
    monkeypatch.setenv("LMTEST_USD_PER_RUN", "5")
    with pytest.raises(lmtest.BudgetExceeded):
        ask(provider, **given, **({"cassette_options": user} if ask is ask_lm else user))
    assert provider.requests == []


@pytest.mark.parametrize(
    ("limits", "error", "arrive"),
    [
        (f"usd_per_run={LITTLE}", lmtest.BudgetExceeded, 0),
        (f"usd_per_month={LITTLE}", lmtest.BudgetExceeded, 0),
        (f"usd_per_test={LITTLE}", lmtest.BudgetExceeded, 0),
        ("requests_per_minute=1 max_wait=0", lmtest.RateLimited, 1),
        ("tokens_per_minute=300 max_wait=0", lmtest.RateLimited, 1),
        (f"{MODEL}:requests_per_minute=1 {MODEL}:max_wait=0", lmtest.RateLimited, 1),
    ],
)
def test_each_limit_by_its_name(limits, error, arrive, provider, monkeypatch):
    monkeypatch.setenv("LMTEST_LIMITS", limits)
    with pytest.raises(error):
        for _ in range(2):
            ask_use_cassette(provider, test="tests/test_qa.py::test_capital")
    assert len(provider.requests) == arrive


# ── the pytest plugin ────────────────────────────────────────────────────────────────────────────────────────────────

SUITE = """
    import dspy, lmtest, pytest

    @pytest.mark.lmtest({marker})
    def test_it():
        dspy.Predict("question -> answer", max_tokens=100)(question="What is the capital of France?")
"""


@pytest.fixture
def suite(pytester):
    return SuiteRunner(pytester, options=("-o", "asyncio_default_fixture_loop_scope=function"))


def refused(result, provider):
    return result.outcomes == {"failed": 1} and "BudgetExceeded" in result.output and provider.requests == []


@WHOSE
def test_plugin_flag_wins_over_everything_looser(model, suite, provider):
    table = {model: {"usd_per_run": 5}} if model else {"usd_per_run": 5}
    suite.write(test_qa=SUITE.format(marker=f"limits={table}"))
    write_pyproject(suite.path, model, usd=5)
    looser = {"LMTEST_LIMITS": as_text(model, "usd_per_run=5")}
    flag = ("--lmtest-limit", as_text(model))
    result = suite.run(*flag, mode="live", provider=provider, environ=looser)
    assert refused(result, provider)
    assert f"Raise usd_per_run (pytest --lmtest-limit {as_text(model, 'usd_per_run=USD')})" in result.output


@WHOSE
def test_plugin_flag_wins_over_everything_tighter(model, suite, provider):
    suite.write(test_qa=SUITE.format(marker=f"limits={as_table(model)}"))
    write_pyproject(suite.path, model)
    tighter = {"LMTEST_LIMITS": as_text(model), "LMTEST_USD_PER_RUN": LITTLE}
    flags = ("--lmtest-limit", as_text(model, "usd_per_run=5"), "--lmtest-budget", "5")[: 4 if model else 2]
    assert suite.run(*flags, mode="live", provider=provider, environ=tighter).green


@WHOSE
def test_plugin_environment(model, suite, provider):
    suite.write(test_qa=SUITE.format(marker=""))
    assert refused(suite.run(mode="live", provider=provider, environ={"LMTEST_LIMITS": as_text(model)}), provider)


@WHOSE
@pytest.mark.parametrize("form", ["lmtest.{}", "{}"], ids=["as Limits", "by name"])
def test_plugin_marker(form, model, suite, provider):
    limits = form.format(as_limits(model) if "lmtest" in form else as_table(model))
    limits = limits.replace(": Limits", ": lmtest.Limits").replace(f"Decimal('{LITTLE}')", repr(LITTLE))
    suite.write(test_qa=SUITE.format(marker=f"limits={limits}"))
    assert refused(suite.run(mode="live", provider=provider), provider)


@WHOSE
def test_plugin_pyproject(model, suite, provider):
    suite.write(test_qa=SUITE.format(marker=""))
    write_pyproject(suite.path, model)
    assert refused(suite.run(mode="live", provider=provider), provider)


def test_a_run_is_one_run_for_all_its_processes_whoever_limits_it(suite, provider):
    suite.write(test_qa=SUITE.format(marker="") + "\n    test_again = test_it\n    test_once_more = test_it\n")
    prices = suite.path / "prices.toml"
    prices.write_text(f'["{MODEL}"]\ninput = 0\noutput = 10000\n', encoding="utf-8")
    environ = {"LMTEST_PRICES": str(prices), "LMTEST_USD_PER_RUN": "1"}  # 100 tokens at worst: a dollar
    result = suite.run("-n", "2", mode="live", provider=provider, environ=environ)
    assert result.outcomes == {"passed": 1, "failed": 2}
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--lmtest-limit", "usd_per_mont=1"), "Did you mean 'usd_per_month'?"),
        (("--lmtest-limit", "requests_per_minute=0"), "--lmtest-limit: requests_per_minute is '0'"),
        (("--lmtest-limit", "usd_per_run"), "write NAME=VALUE"),
        (("--lmtest-limit", f"{MODEL}:usd_per_rn=1"), "Did you mean 'usd_per_run'?"),
        (("--lmtest-limit", "usd_per_run=1", "--lmtest-budget", "1"), "both are given"),
    ],
)
def test_what_the_plugin_cannot_use_ends_the_run_with_one_sentence(arguments, says, suite):
    suite.write(test_qa=SUITE.format(marker=""))
    result = suite.run(*arguments)
    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert says in result.errors


# ── the worker ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def execute(project, provider):
    """Execute a program on a worker that was started so; gives its failure, or None; its log is worker.log."""
    started = []

    def run(*arguments, session=None, **environ):
        command = [sys.executable, "-m", "python_worker", "serve", "--port", "0", "--lm-mode", "live"]
        with (project / "worker.log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [*command, "--api-base", f"{provider.url}/v1beta", *arguments],
                cwd=project,
                env={**os.environ, "GEMINI_API_KEY": "any-key", **environ},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        started.append(process)
        port = process.stdout.readline().strip().removeprefix("GRPC_READY:")
        with connect(f"127.0.0.1:{port}") as client:
            client.create_signature("signature qa: :string question -> :string answer")
            client.create_program("qa", signature="qa", max_tokens=100)
            where = {"session": client.session("ada", lm=SessionLM(limits=session)).id} if session else {}
            try:
                client.execute("qa", {"question": "What is the capital of France?"}, **where)
            except WorkerError as error:
                return error
        return None

    yield run
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@WHOSE
def test_worker_flag(model, execute, provider, project):
    write_pyproject(project, model, usd=5)
    looser = {"LMTEST_LIMITS": as_text(model, "usd_per_run=5")}
    assert execute("--limit", as_text(model), **looser).reason is Reason.BUDGET_EXCEEDED
    assert provider.requests == []


def test_worker_flag_wins_over_what_is_tighter(execute, provider, project):
    write_pyproject(project, None)
    assert execute("--limit", "usd_per_run=5", LMTEST_USD_PER_RUN=LITTLE) is None
    assert len(provider.requests) == 1


def test_worker_environment(execute, provider):
    assert execute(LMTEST_USD_PER_RUN=LITTLE).reason is Reason.BUDGET_EXCEEDED
    assert provider.requests == []


def test_worker_pyproject(execute, provider, project):
    write_pyproject(project, MODEL)
    assert execute().reason is Reason.BUDGET_EXCEEDED
    assert provider.requests == []


@WHOSE
@pytest.mark.parametrize("by_flag", [True, False], ids=["set by flag", "set by environment"])
def test_a_worker_s_error_names_the_flag_that_raises_the_limit(by_flag, model, execute):
    refused = execute("--limit", as_text(model)) if by_flag else execute(LMTEST_LIMITS=as_text(model))
    told = f"Raise usd_per_run (python -m python_worker serve --limit {as_text(model, 'usd_per_run=USD')})"
    assert told in refused.message


def test_a_worker_s_error_tells_a_session_s_own_limit_from_the_worker_s(execute):
    refused = execute("--limit", "usd_per_run=5", session=SessionLimits(usd_per_run=LITTLE))
    assert "Raise usd_per_run (the caller's own, tighter than its host's)" in refused.message


@pytest.mark.parametrize(("workers", "sessions"), [("5", LITTLE), (LITTLE, "5")])
def test_of_a_worker_s_limit_and_a_session_s_the_tighter_holds(workers, sessions, execute, provider):
    session = SessionLimits(usd_per_run=sessions)
    assert execute("--limit", f"usd_per_run={workers}", session=session).reason is Reason.BUDGET_EXCEEDED
    assert provider.requests == []


def test_a_worker_does_not_start_with_a_limit_that_is_none(project):
    command = [sys.executable, "-m", "python_worker", "serve", "--lm-mode", "mock", "--limit", "usd_per_mont=1"]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "Did you mean 'usd_per_month'?" in ended.stderr


def test_a_worker_s_log_tells_a_limit_of_a_model_that_nobody_knows(execute, project):
    limits = ("--limit", "gemini/gemini-2.5-flsh:usd_per_run=1", "--limit", f"{MODEL}:usd_per_run=1")
    assert execute(*limits) is None
    told = re.findall(r"WARNING python_worker: (limits .*)", (project / "worker.log").read_text(encoding="utf-8"))
    assert told == ["limits name 'gemini/gemini-2.5-flsh', of no known price; did you mean 'gemini/gemini-2.5-flash'?"]


# ── lmtest refresh ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", [(), ("--calls-only",)], ids=["by test", "calls only"])
@pytest.mark.parametrize("flags", [("--budget", LITTLE), ("--limit", NOTHING), ("--limit", f"{MODEL}:{NOTHING}")])
def test_refresh_flag(flags, how, suite, provider):
    suite.write(test_qa=SUITE.format(marker=""))
    assert suite.run(mode="record", provider=provider).green
    provider.requests.clear()
    base = f"{provider.url}/v1beta"
    ended = subprocess.run(
        [sys.executable, "-m", "lmtest", "refresh", "--all", "--yes", "--report", "drift.json", *how, *flags],
        cwd=suite.path,
        env={
            **os.environ, "SUITE_API_BASE": base, "GEMINI_API_BASE": base, "GEMINI_API_KEY": "any-key",
            "LMTEST_USD_PER_RUN": "5", "LMTEST_MAX_CONCURRENCY": "2",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 3, ended.stdout + ended.stderr
    stopped = json.loads((suite.path / "drift.json").read_text(encoding="utf-8"))["stopped"]
    told = f"--limit {MODEL}:usd_per_run=USD" if MODEL in flags[1] else "--budget USD"
    assert f"Raise usd_per_run (lmtest refresh {told})" in stopped
    assert provider.requests == []

"""No surprise bill: what a budget does to calls that really are sent, from one process and from many at once."""

import os
import signal
import subprocess
import sys
from decimal import Decimal

import dspy
import pytest

import lmtest
from lmtest.http.server import StandIn
from lmtest.money.ledger import Ledger

ASK = """
import os, sys
import dspy, lmtest

lm = dspy.LM(
    "gemini/gemini-2.5-flash",
    api_base=os.environ["BASE"],
    api_key="any-key",
    max_tokens=int(os.environ["TOKENS"]),
    cache=False,
)
stopped = 0
with dspy.context(lm=lm), lmtest.use_cassette(mode="live"):
    for _ in range(3):
        try:
            dspy.Predict("question -> answer")(question="What is the capital of France?")
        except lmtest.BudgetExceeded:
            stopped += 1
print(stopped)
"""


@pytest.fixture
def provider():
    with StandIn() as server:
        yield server


@pytest.fixture
def environ(tmp_path, provider):
    """A price of one thousandth of a dollar an output token, and an answer whose length is known to the token."""
    (tmp_path / "prices.toml").write_text('["gemini/gemini-2.5-flash"]\ninput = 0\noutput = 1000\n')
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LM", "GEMINI", "TEST_", "CI"))}
    lm = dspy.LM("gemini/gemini-2.5-flash", api_base=f"{provider.url}/v1beta", api_key="any-key", cache=False)
    with pytest.MonkeyPatch.context() as patch, dspy.context(lm=lm):
        patch.setenv("LMTEST_LEDGER", "off")
        with lmtest.use_cassette(mode="live") as cassette:
            dspy.Predict("question -> answer")(question="What is the capital of France?")
    tokens = cassette.calls[0].usage.output_tokens
    provider.requests.clear()
    return kept | {
        "BASE": f"{provider.url}/v1beta",
        "TOKENS": str(tokens),
        "LMTEST_PRICES": str(tmp_path / "prices.toml"),
        "LMTEST_RUN": "one-run",
        "LMTEST_USD_PER_RUN": str(Decimal(3 * tokens) / 1000),
        "LITELLM_LOCAL_MODEL_COST_MAP": "true",
    }


def processes(count, environ, cwd):
    started = [
        subprocess.Popen([sys.executable, "-c", ASK], env=environ, cwd=cwd, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    return [int(process.communicate(timeout=120)[0]) for process in started]


def test_three_calls_arrive_and_the_fourth_never_does(environ, provider, tmp_path):
    assert processes(1, environ, tmp_path) == [0]
    assert len(provider.requests) == 3
    assert processes(1, environ, tmp_path) == [3]
    assert len(provider.requests) == 3


def test_of_twelve_calls_of_four_processes_three_arrive(environ, provider, tmp_path):
    stopped = processes(4, environ, tmp_path)
    assert sum(stopped) == 9
    assert len(provider.requests) == 3


def test_calls_that_fit_one_after_the_other_only_all_arrive_from_four_processes(environ, provider, tmp_path):
    """At worst a call costs twelve times what it does cost, and two of those are beyond the limit."""
    tokens = int(environ["TOKENS"])
    environ |= {"TOKENS": str(12 * tokens), "LMTEST_USD_PER_RUN": str(Decimal(23 * tokens) / 1000)}
    assert processes(4, environ, tmp_path) == [0, 0, 0, 0]
    assert len(provider.requests) == 12


def test_a_process_killed_in_mid_call_keeps_the_spending_of_those_before_it(environ, provider, tmp_path):
    """And its own call is booked at its worst case by the next who asks, because it may have been billed."""
    slow = ASK.replace("import dspy, lmtest", "import dspy, lmtest, socket, threading").replace(
        "    for _ in range(3):",
        """    dspy.Predict("question -> answer")(question="What is the capital of France?")
    silent = socket.create_server(("127.0.0.1", 0))
    lm.kwargs["api_base"] = f"http://127.0.0.1:{silent.getsockname()[1]}/v1beta"
    held = []
    hold = lambda: (held.append(silent.accept()), print("in mid-call", flush=True))
    threading.Thread(target=hold, daemon=True).start()
    for _ in range(3):""",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", slow], env=environ, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "in mid-call\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    [row] = Ledger(tmp_path / ".lmtest" / "ledger.sqlite3")
    assert row.held * 3 == Decimal(environ["LMTEST_USD_PER_RUN"])
    assert processes(1, environ, tmp_path) == [2], "one spent, one held by the dead, one left of three"
    assert [row.outcome for row in Ledger(tmp_path / ".lmtest" / "ledger.sqlite3")] == ["ok", "unsettled", "ok"]

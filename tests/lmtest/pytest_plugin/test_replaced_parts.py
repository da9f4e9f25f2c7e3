"""A test may replace parts of Python for its program, while its cassette is open: lmtest goes on as it was."""

import pytest

from lmtest.money.ledger import Ledger

SUITE = """
import contextlib, os, dspy, pytest
from pathlib import Path
from unittest import mock

pytestmark = pytest.mark.lmtest
qa = dspy.Predict("question -> answer", max_tokens=100)

def test_it():
    with {replaced}:
        assert qa(question="first?").answer
        assert qa(question="second?").answer
"""
REPLACED = {
    "open": "mock.patch('builtins.open', mock.mock_open(read_data='x'))",
    "open that fails": "mock.patch('builtins.open', side_effect=PermissionError)",
    "os.stat": "mock.patch('os.stat', side_effect=OSError)",
    "Path.exists": "mock.patch('pathlib.Path.exists', return_value=False)",
    "Path.read_text": "mock.patch('pathlib.Path.read_text', return_value='x')",
    "Path.read_bytes": "mock.patch('pathlib.Path.read_bytes', return_value=b'x')",
    "the environment": "mock.patch.dict(os.environ, clear=True)",
    "the working directory": "contextlib.chdir('/')",
}
LIMITS = ["--lmtest-budget=1"] + [
    f"--lmtest-limit={limit}" for limit in ("requests_per_minute=6000", "max_concurrency=4")
]


@pytest.mark.parametrize("mode", ["mock", "replay", "record", "live"])
@pytest.mark.parametrize("part", REPLACED)
def test_every_mode_goes_on_in_a_test_that_replaces(part, mode, suite, provider):
    if mode == "replay":
        suite.write(test_it=SUITE.format(replaced="contextlib.nullcontext()"))
        assert suite.run(mode="record", provider=provider).green
    suite.write(test_it=SUITE.format(replaced=REPLACED[part]))

    assert suite.run(*LIMITS, mode=mode, provider=provider).outcomes == {"passed": 1}


@pytest.mark.parametrize("mode", ["record", "live"])
def test_a_test_that_empties_its_environment_keeps_its_limits_and_its_run(suite, provider, mode):
    suite.write(test_it=SUITE.format(replaced=REPLACED["the environment"]))

    result = suite.run("--lmtest-budget", "0.0001", mode=mode, provider=provider, environ={"LMTEST_RUN": "r"})
    assert "usd_per_run is $0.0001" in result.output
    assert suite.run(mode=mode, provider=provider, environ={"LMTEST_RUN": "r"}).green
    with Ledger(suite.path / ".lmtest/ledger.sqlite3") as ledger:
        assert {row.run for row in ledger} == {"r"}


def test_a_test_that_empties_its_environment_keeps_its_own_prices(suite, provider, tmp_path_factory):
    prices = tmp_path_factory.mktemp("prices") / "prices.toml"
    prices.write_text('["gemini/gemini-2.5-flash"]\ninput = 1000000\noutput = 0\n')
    suite.write(test_it=SUITE.format(replaced=REPLACED["the environment"]))

    assert suite.run(
        "--lmtest-budget=none", mode="live", provider=provider, environ={"LMTEST_PRICES": str(prices)}
    ).green
    with Ledger(suite.path / ".lmtest/ledger.sqlite3") as ledger:
        assert all(row.would_cost == row.usage.input_tokens for row in ledger)

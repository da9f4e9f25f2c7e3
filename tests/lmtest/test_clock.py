"""A clock that a test freezes or moves reaches neither limits, ledger, recordings nor what a refresh goes by."""

import asyncio
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import dspy
import freezegun
import pytest
import time_machine
import yaml

from lmtest import clock
from lmtest.http.server import StandIn
from lmtest.money.ledger import Ledger
from lmtest.testing import ScriptedProvider, SuiteRunner

BY = pytest.mark.parametrize("stopped", [freezegun.freeze_time, time_machine.travel], ids=["freezegun", "time-machine"])
IN_2035 = datetime(2035, 1, 1, tzinfo=UTC)
SOON = timedelta(minutes=10)
SUITE = """
import dspy, freezegun, pytest, time_machine

pytestmark = pytest.mark.lmtest
ask = dspy.Predict("question -> answer", max_tokens=100)

@{how}
def test_1_in_2035():
    ask(question="future?")

def test_2_now():
    ask(question="now?")
"""


@BY
def test_the_clock_goes_on_while_a_test_has_stopped_time(stopped):
    begun = time.time()
    with stopped(IN_2035, tick=False):
        assert time.time() == IN_2035.timestamp()
        assert 0 <= clock.now() - begun < 600
        assert abs(clock.utc_now().timestamp() - begun) < 600
        first = clock.seconds()
        clock.sleep(0.001)
        assert clock.seconds() > first


@BY
def test_a_stand_in_that_serves_while_time_stands_still_ends(stopped):
    server = StandIn()
    with stopped(IN_2035, tick=False):
        lm = dspy.LM("gemini/gemini-2.5-flash", api_base=f"{server.url}/v1beta", api_key="k", cache=False)
        for _ in range(3):
            assert lm("Hi")
    ending = threading.Thread(target=server.close, daemon=True)
    ending.start()
    ending.join(timeout=20)
    assert not ending.is_alive()


@BY
def test_nothing_in_the_program_is_told_the_time_by_us(stopped):
    with stopped(IN_2035, tick=False):
        clock.now()
        assert datetime.now(UTC) == IN_2035


@pytest.mark.parametrize("stop", ["freezegun.freeze_time", "time_machine.travel"])
def test_the_clock_is_the_machines_though_time_was_stopped_before_lmtest_was_imported(stop):
    script = f"""
import freezegun, time_machine, sys, time
before = time.time()
with {stop}("2035-01-01", tick=False):
    from lmtest import clock
    assert "2035" in time.strftime("%Y"), time.strftime("%Y")
    assert clock.now() - before < 600
    assert clock.utc_now().year < 2035
    first = clock.seconds(); clock.sleep(0.001)
    assert clock.seconds() > first
assert abs(clock.now() - time.time()) < 1
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_task_waits_its_time_though_the_event_loops_clock_stands_still():
    async def wait():
        begun = clock.seconds()
        await clock.sleep_async(0.02)
        return clock.seconds() - begun

    with freezegun.freeze_time("2035-01-01"):
        assert 0.015 < asyncio.run(asyncio.wait_for(wait(), None)) < 60


def test_waiting_is_not_what_a_test_has_put_in_the_place_of_sleep(monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    begun = clock.seconds()
    clock.sleep(0.02)
    assert clock.seconds() - begun > 0.015


@pytest.fixture(params=["freezegun.freeze_time('2035-01-01')", "time_machine.travel('2035-01-01T00:00Z', tick=False)"])
def suite(request, pytester):
    runner = SuiteRunner(pytester, options=("-o", "asyncio_default_fixture_loop_scope=function"))
    runner.write(test_it=SUITE.format(how=request.param))
    return runner


@pytest.fixture
def provider():
    with ScriptedProvider([None], repeat_last=True) as provider:
        yield provider


@pytest.mark.parametrize("limit", ["requests_per_minute=6000", "tokens_per_minute=10000000"])
def test_a_call_under_a_stopped_clock_books_no_place_in_its_time(suite, provider, limit):
    result = suite.run(
        "-p", "no:randomly", "--lmtest-limit", limit, "--lmtest-limit", "max_wait=5", mode="record", provider=provider
    )

    assert result.outcomes == {"passed": 2}
    with Ledger(suite.path / ".lmtest/ledger.sqlite3") as ledger, ledger.database.reading() as connection:
        [(due,)] = connection.execute("SELECT due FROM rate").fetchall()
    assert due / 1e9 < (datetime.now(UTC) + SOON).timestamp()


def test_recordings_and_rows_have_the_time_they_were_made_at(suite, provider):
    suite.run(mode="record", provider=provider)

    begun = datetime.now(UTC) - SOON
    for path in suite.path.rglob("cassettes/**/*.yaml"):
        times = [each.get("recorded_at") for each in yaml.safe_load_all(path.read_text())]
        assert all(begun < datetime.fromisoformat(each) < begun + 2 * SOON for each in times)
    with Ledger(suite.path / ".lmtest/ledger.sqlite3") as ledger:
        assert all(begun < row.time < begun + 2 * SOON for row in ledger)


def test_a_months_budget_is_the_months_in_which_the_calls_are_made(suite, provider):
    suite.run(mode="record", provider=provider)

    with Ledger(suite.path / ".lmtest/ledger.sqlite3") as ledger, ledger.database.reading() as connection:
        periods = {period for (period,) in connection.execute("SELECT period FROM spend WHERE period LIKE 'month %'")}
    assert periods == {f"month {datetime.now(UTC):%Y-%m}"}


def test_a_replay_under_a_stopped_clock_is_a_replay(suite, provider):
    suite.run(mode="record", provider=provider)

    assert suite.run().outcomes == {"passed": 2}

"""What would go wrong after a call was paid for, is said before the first one is sent."""

import logging
import os
from decimal import Decimal
from pathlib import Path

import dspy
import pytest

import lmtest
from lmtest.money.ledger import Ledger
from lmtest.testing import ScriptedProvider, fields

from .recordings import QUESTION, acall, qa, run

PRICES = '["gemini/gemini-2.5-flash"]\ninput = 0\noutput = 10\n'


def a_price_file_that_is_gone(monkeypatch, _):
    monkeypatch.setenv("LMTEST_PRICES", "gone.toml")


def a_price_file_that_does_not_parse(monkeypatch, project):
    (project / "prices.toml").write_text("[m\n")
    monkeypatch.setenv("LMTEST_PRICES", "prices.toml")


def a_price_that_is_none(monkeypatch, project):
    (project / "prices.toml").write_text(PRICES.replace("10", "'ten'"))
    monkeypatch.setenv("LMTEST_PRICES", "prices.toml")


def a_price_file_that_is_a_directory(monkeypatch, project):
    monkeypatch.setenv("LMTEST_PRICES", str(project))


def a_ledger_that_is_read_only(_, project):
    make_read_only(project / ".lmtest" / "ledger.sqlite3")


def a_ledger_that_cannot_be_made(_, project):
    (project / ".lmtest").write_text("a file where the directory would be")


def a_budget_of_a_test_without_a_test(monkeypatch, _):
    monkeypatch.setenv("LMTEST_USD_PER_TEST", "1")


def a_budget_of_a_models_tests_without_a_test(monkeypatch, _):
    monkeypatch.setenv("LMTEST_LIMITS", "gemini/gemini-2.5-flash:usd_per_test=1")


OBSTACLES = [
    (a_price_file_that_is_gone, r"LMTEST_PRICES is '.*gone\.toml', which cannot be read"),
    (a_price_file_that_does_not_parse, r"prices\.toml \(LMTEST_PRICES\) does not parse"),
    (a_price_that_is_none, r"output is 'ten'; give USD per million tokens"),
    (a_price_file_that_is_a_directory, r"LMTEST_PRICES is '.*', which cannot be read"),
    (a_ledger_that_is_read_only, r"ledger\.sqlite3' cannot be used: attempt to write a readonly database"),
    (a_ledger_that_cannot_be_made, r"ledger\.sqlite3' cannot be used"),
    (a_budget_of_a_test_without_a_test, r"usd_per_test is \$1, and these calls belong to no test"),
    (a_budget_of_a_models_tests_without_a_test, r"usd_per_test of 'gemini/gemini-2\.5-flash' is \$1"),
]


def make_read_only(path):
    with Ledger(path) as ledger:
        ledger.open()
    # Whoever runs the tests may be root, whom no permission stops; SQLite's own mark of a newer format stops everybody.
    with path.open("r+b") as opened:
        opened.seek(18)
        opened.write(b"\x03")


@pytest.fixture(params=OBSTACLES, ids=[each.__name__ for each, _ in OBSTACLES])
def obstacle(request, monkeypatch, project):
    """Something in the way: how to put it there, and what is said of it."""
    put, said = request.param
    return lambda: put(monkeypatch, project), said


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("mode", ["live", "record", "auto"])
def test_nothing_is_sent_past(obstacle, mode, asynchronous, lm, provider):
    put, said = obstacle
    put()
    with pytest.raises(lmtest.ConfigurationError, match=said), dspy.context(lm=lm.copy(cache=False)):
        with lmtest.use_cassette("qa.yaml", mode=mode):
            run(acall(QUESTION)) if asynchronous else qa(question=QUESTION)
    assert provider.requests == []


def test_a_replay_needs_none_of_it(obstacle, lm, unreachable_lm, project):
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="record"):
        answer = qa(question=QUESTION).answer
    (project / ".lmtest").rename(project / ".lmtest-before")
    obstacle[0]()
    for mode in ("replay", "auto"):
        with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml", mode=mode):
            assert qa(question=QUESTION).answer == answer


def test_a_budget_of_a_test_holds_where_the_test_is_named(lm, provider):
    limits = lmtest.Limits(usd_per_test="0.0000001")
    with pytest.raises(lmtest.BudgetExceeded), dspy.context(lm=lm.copy(cache=False)):
        with lmtest.use_cassette("qa.yaml", mode="record", test="t.py::test", limits=limits):
            qa(question=QUESTION)
    assert provider.requests == []


def test_a_budget_of_a_test_may_be_lifted_where_there_is_none(lm):
    limits = lmtest.Limits(usd_per_test="none", usd_per_run=5)
    with dspy.context(lm=lm.copy(cache=False)), lmtest.use_cassette("qa.yaml", mode="record", limits=limits):
        assert qa(question=QUESTION).answer


def test_prices_are_found_wherever_a_program_goes_after_it_began(lm, project, monkeypatch):
    (project / "prices.toml").write_text(PRICES)
    (project / "elsewhere").mkdir()
    monkeypatch.setenv("LMTEST_PRICES", "prices.toml")
    with dspy.context(lm=lm.copy(cache=False)), lmtest.use_cassette("qa.yaml", mode="live") as cassette:
        os.chdir("elsewhere")
        qa(question=QUESTION)
    assert cassette.calls[0].price_version.startswith("prices.toml ")


def test_a_call_is_booked_though_the_prices_are_broken_while_it_is_under_way(project, monkeypatch):
    path = project / "prices.toml"
    path.write_text(PRICES)
    monkeypatch.setenv("LMTEST_PRICES", str(path))
    limits = lmtest.Limits(usd_per_run=1)
    with ScriptedProvider([fields(answer="Paris")], repeat_last=True) as provider:
        with dspy.context(lm=provider.lm(max_tokens=1_000)), lmtest.use_cassette(mode="live", limits=limits):
            monkeypatch.setattr(provider, "_next", _breaking(path, provider._next))
            assert qa(question=QUESTION).answer == "Paris"
            with pytest.raises(lmtest.ConfigurationError, match="does not parse"):
                qa(question="Another?")
        assert len(provider.requests) == 1
    [row] = Ledger(Path(".lmtest/ledger.sqlite3"))
    assert (row.hit, row.would_cost) == ("live", None)
    path.write_text(PRICES)
    assert lmtest.budget_left("gemini/gemini-2.5-flash", tighter=limits) == Decimal("0.99"), "its worst case is held"


def _breaking(path, answer):
    def broken(body):
        path.write_text("[m\n")
        return answer(body)

    return broken


def test_prices_that_can_match_nothing_are_logged_once(lm, project, monkeypatch, caplog):
    (project / "prices.toml").write_text('["gemini-2.5-flash"]\ninput = 1\noutput = 2\n')
    monkeypatch.setenv("LMTEST_PRICES", str(project / "prices.toml"))
    with caplog.at_level(logging.WARNING, "lmtest"), dspy.context(lm=lm.copy(cache=False)):
        for _ in range(2):
            with lmtest.use_cassette(mode="live"):
                qa(question=QUESTION)
    [told] = [each.message for each in caplog.records if "prices.toml" in each.message]
    assert told.startswith(
        "prices.toml (LMTEST_PRICES) has a price of 'gemini-2.5-flash', which is no model's whole name"
    )
    assert told.endswith("Did you mean 'gemini/gemini-2.5-flash'?")

"""The sums of the cost report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmtest.money.formats import notes
from lmtest.money.ledger import Ledger
from lmtest.money.report import BY, Line, cost_report, parse_since
from lmtest.money.row import LedgerRow

NOW = datetime(2026, 11, 16, tzinfo=UTC)  # half of November


def live(cost, **fields):
    fields = {"time": NOW, "model": "gemini/gemini-2.5-flash", **fields}
    return LedgerRow(mode="record", hit="live", cost=cost and Decimal(cost), **fields)


def replayed(would_cost, **fields):
    fields = {"time": NOW, "model": "gemini/gemini-2.5-flash", "cassette": "qa.yaml", "key": "k1", **fields}
    return LedgerRow(
        mode="replay", hit="cassette", cost=Decimal(0), would_cost=would_cost and Decimal(would_cost), **fields
    )


def test_spent_is_what_live_calls_cost(ledger):
    ledger.append([live("0.10"), live("0.02"), replayed("5")])

    assert cost_report(ledger, now=NOW).total.spent == Decimal("0.12")


def test_saved_is_what_replayed_calls_would_have_cost(ledger):
    ledger.append([live("0.10"), replayed("0.03"), replayed("0.03")])

    assert cost_report(ledger, now=NOW).total.saved == Decimal("0.06")


def test_what_a_stand_in_answered_is_neither_spent_nor_saved_but_shown_apart(ledger):
    rehearsed = {"provider": "stand-in", "would_cost": Decimal("0.05")}
    ledger.append([live("0.10"), live("0", **rehearsed), live("0", provider="stand-in", model="ollama/llama3")])

    report = cost_report(ledger, now=NOW)
    assert report.total == Line(calls=3, live=3, spent=Decimal("0.10"), stand_in=Decimal("0.05"))
    assert (report.month.spent, report.month.projected) == (Decimal("0.10"), Decimal("0.20"))
    assert report.unpriced == ()


def test_calls_whose_tokens_nobody_counted_are_told_from_those_whose_price_nobody_knows(ledger):
    ledger.append([live(None, outcome="estimated"), live(None, model="my/own"), live("0.10"), replayed(None)])

    report = cost_report(ledger, now=NOW)
    assert report.unpriced == (("gemini/gemini-2.5-flash", 2), ("my/own", 1))
    assert report.estimated == (("gemini/gemini-2.5-flash", 1),)
    assert notes(report, 25)[-2:] == [
        "Of unknown price (?), and in no sum above: gemini/gemini-2.5-flash (2 calls), my/own (1 call).",
        "Estimated, because no provider counted the tokens: gemini/gemini-2.5-flash (1 call) of these.",
    ]


def test_a_mocked_call_neither_costs_nor_saves(ledger):
    ledger.append([LedgerRow(time=NOW, model="m", mode="mock", hit="mock", cost=Decimal(0))])

    assert cost_report(ledger, now=NOW).total == Line(calls=1)


def test_a_refresh_pays_each_recording_once(ledger):
    ledger.append([replayed("0.03"), replayed("0.03"), replayed("0.02", key="k2"), replayed("0.01", cassette="b.yaml")])

    assert cost_report(ledger, now=NOW).total.refresh == Decimal("0.06")


def test_a_refresh_pays_the_last_known_price(ledger):
    older, newer = NOW - timedelta(days=9), NOW - timedelta(days=1)
    ledger.append([replayed("0.02", time=newer)])
    ledger.append([replayed("0.05", time=older), replayed(None, time=NOW)])

    total = cost_report(ledger, now=NOW).total
    assert (total.refresh, total.unpriced_refresh) == (Decimal("0.02"), 0)


def test_an_unknown_price_is_counted_and_named_but_never_summed(ledger):
    ledger.append([live("0.10"), live(None, model="ollama/llama3"), replayed(None, model="my/own")])

    report = cost_report(ledger, now=NOW)

    assert report.total == Line(
        calls=3, live=2, replayed=1, spent=Decimal("0.10"), unpriced_live=1, unpriced_replayed=1, unpriced_refresh=1
    )
    assert report.unpriced == (("my/own", 1), ("ollama/llama3", 1))


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("test", ["b", "a", None]),
        ("model", ["m2", "m1"]),
        ("day", ["2026-11-15", "2026-11-16"]),
        ("cassette", ["two.yaml", "one.yaml", None]),
        ("run", ["r"]),
    ],
)
def test_lines_stand_dearest_first_and_days_in_order(ledger, by, names):
    ledger.append(
        [
            live("0.1", model="m1", test="a", cassette="one.yaml", run="r"),
            live("0.9", model="m2", test="b", cassette="two.yaml", run="r", time=NOW - timedelta(seconds=1)),
            live("0", model="m1", run="r"),
        ]
    )

    assert [line.name for line in cost_report(ledger, by=by, now=NOW).lines] == names


def test_since_leaves_out_what_was_before(ledger):
    ledger.append([live("1", time=NOW - timedelta(days=2)), live("2"), replayed("4", time=NOW - timedelta(days=2))])

    total = cost_report(ledger, since=NOW - timedelta(days=1), now=NOW).total

    assert total == Line(calls=1, live=1, spent=Decimal(2))


def test_a_month_counts_from_its_first_day_in_utc(ledger):
    first = datetime(2026, 11, 1, tzinfo=UTC)
    ledger.append([live("1", time=first), live("2", time=first - timedelta(microseconds=1))])

    month = cost_report(ledger, since=NOW, now=NOW).month

    assert (month.name, month.spent) == ("2026-11", Decimal(1))


def test_a_month_is_projected_at_its_own_pace(ledger):
    ledger.append([live("3", time=NOW - timedelta(days=1))])

    assert cost_report(ledger, now=NOW).month.projected == Decimal("6.00")


def test_a_months_first_hour_is_not_projected_as_if_all_hours_were_so(ledger):
    early = datetime(2026, 11, 1, 0, 30, tzinfo=UTC)
    ledger.append([live("1", time=early)])

    assert cost_report(ledger, now=early).month.projected == Decimal("30.00")


def test_an_absent_ledger_reports_nothing_and_is_not_made(ledger):
    report = cost_report(ledger, now=NOW)

    assert (report.total, report.lines) == (Line(), ())
    with ledger.database.reading() as connection:
        assert connection is None


CALLS = st.builds(
    lambda kind, usd, test, cassette, key, hours: (live if kind else replayed)(
        usd, test=test, cassette=cassette, key=key, time=NOW - timedelta(hours=hours)
    ),
    st.booleans(),
    st.none() | st.decimals(0, 10, places=9),
    st.none() | st.sampled_from("ab"),
    st.none() | st.sampled_from("cd"),
    st.none() | st.sampled_from("ef"),
    st.integers(0, 100),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(CALLS))
def test_every_grouping_adds_up_to_the_same_total(tmp_path_factory, calls):
    with Ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite3") as ledger:
        ledger.append(calls)

        totals = [cost_report(ledger, by=by, now=NOW).total for by in BY]

    known = sum((call.cost for call in calls if call.cost is not None), Decimal(0))
    assert totals == [totals[0]] * len(BY)
    assert (totals[0].calls, totals[0].spent) == (len(calls), known)


@pytest.mark.parametrize("text", ["yesterday", "7", "d", "-7d", "2026-13-01", "", "\u00b2d", "99999999999d"])
def test_a_beginning_that_is_neither_date_nor_age_is_named(text):
    with pytest.raises(ValueError, match="neither a date"):
        parse_since(text, now=NOW)

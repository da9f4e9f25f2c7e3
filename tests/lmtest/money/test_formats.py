"""What a report says beside its numbers."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from lmtest.money.formats import dollars, notes, table
from lmtest.money.report import Line, Month, Report


def report(spent, projected, limit):
    month = Month(name="2026-11", spent=Decimal(spent), projected=Decimal(projected), limit=limit and Decimal(limit))
    total = Line(calls=1, live=1, spent=Decimal(spent))
    return Report(
        place="ledger", by="test", since=None, total=total, lines=(total,), unpriced=(), estimated=(), month=month
    )


@pytest.mark.parametrize(
    ("spent", "projected", "limit", "said"),
    [
        ("0.50", "0.90", None, "2026-11: $0.50 so far, $0.90 by its end at this pace."),
        ("0.50", "0.90", "1", "by its end at this pace. Limit $1.00: 50% used."),
        ("0.50", "1.01", "1", "Limit $1.00: 50% used, and on the way past it."),
        ("1.00", "1.00", "1", "Limit $1.00: 100% used."),
        ("1.01", "2.02", "1", "Limit $1.00: exceeded."),
        ("0", "0", "0", "Limit $0.00: 0% used."),
        ("0.01", "0.02", "0", "Limit $0.00: exceeded."),
    ],
)
def test_a_month_is_told_with_its_limit(spent, projected, limit, said):
    assert notes(report(spent, projected, limit), top=25)[0].endswith(said)


@pytest.mark.parametrize(
    ("usd", "text"),
    [("0", "$0.00"), ("1234.5", "$1,234.50"), ("0.05", "$0.050"), ("0.0055", "$0.0055"), ("0.00000012", "$0.00000012")],
)
def test_small_amounts_keep_two_digits_that_count(usd, text):
    assert dollars(Decimal(usd)) == text


def test_names_stay_whole_in_a_table_of_eighty_columns():
    name = "tests/test_a_module_with_a_long_name.py::test_a_question_whose_name_alone_is_nearly_as_wide_as_that"
    asked = report("0.50", "0.90", None)

    assert f"{name} " in table(replace(asked, lines=(replace(asked.total, name=name),)), width=80)

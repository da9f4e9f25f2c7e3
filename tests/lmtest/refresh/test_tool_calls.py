"""A refresh of an agent: its tools are called anew, and their results compared as data."""

import pytest

import lmtest
from lmtest.cassette.pending import fresh_path
from lmtest.refresh.chains import why_not
from lmtest.refresh.drift import Tier, compare
from lmtest.refresh.pairs import pair
from lmtest.refresh.result import amounts, read_calls


@pytest.fixture
def drifts(tmp_path, monkeypatch):
    """Calls a tool, records that, refreshes it with other answers, and compares."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LM_MODE", raising=False)
    path = tmp_path / "tools.yaml"

    def run(mode, calls):
        with lmtest.use_cassette(path, mode=mode):
            for name, argument, answer in calls:

                def function(argument, answer=answer):
                    if isinstance(answer, Exception):
                        raise answer
                    return answer

                try:
                    lmtest.tool(function, name=name)(argument)
                except ValueError:
                    pass

    def drifts(before, after):
        run("record", before)
        run("refresh", after)
        return [compare(*each) for each in pair(read_calls(path), read_calls(fresh_path(path)))]

    drifts.path = path
    return drifts


def test_the_same_result_is_the_same_and_another_one_has_changed_whatever_its_wording(drifts):
    found = drifts([("find", 1, ["a"]), ("find", 2, "It is Paris.")], [("find", 1, ["a"]), ("find", 2, "it is paris")])
    assert [each.tier for each in found] == [Tier.SAME, Tier.CHANGED]
    assert [(each.field, each.before, each.after) for each in found[1].changes] == [
        ("result", "It is Paris.", "it is paris")
    ]


def test_a_tool_that_raises_now_has_another_structure(drifts):
    found = drifts([("find", 1, "a"), ("find", 2, ValueError("no"))], [("find", 1, ValueError("no")), ("find", 2, "b")])
    assert [(each.tier, each.reason) for each in found] == [
        (Tier.STRUCTURE, "raised no"),
        (Tier.STRUCTURE, "raised before, answers now"),
    ]


def test_a_call_that_moved_is_paired_with_one_of_the_same_tool(drifts):
    found = drifts([("find", 1, "a"), ("sum", 2, "b")], [("sum", 3, "b"), ("find", 4, "a")])
    assert [(each.before.tool, each.after.tool) for each in found] == [("find", "find"), ("sum", "sum")]


def test_tools_cost_nothing_and_are_not_sent_without_their_test(drifts):
    drifts([("find", 1, "a")], [("find", 1, "a")])
    calls = read_calls(drifts.path)
    assert (amounts(calls).usd, amounts(calls).unpriced) == (0, 0)
    assert "one of the tool 'find', which only its test can make" in why_not(calls)

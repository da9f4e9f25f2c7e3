"""What ``lmtest.tool`` promises: a tool's calls are recorded and played like those of the models that ask for it."""

import asyncio
import contextvars
import itertools
import math
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import dspy
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmtest
from lmtest.money.ledger import Ledger

from .tooling import Unknown, never, record, replay, weather

TEXT = st.characters(exclude_categories=["Cs"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(TEXT),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(TEXT), inner, max_size=4),
    max_leaves=12,
)


# ── the modes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_recorded_is_replayed_without_calling_the_tool():
    recorder, calls = weather()
    answers, recorded = record(recorder, ["Paris"], ["Rome"])
    player, _ = weather(never)
    played, cassette = replay(player, ["Paris"], ["Rome"])
    assert played == answers == ["Paris: 20 C", "Rome: 20 C"]
    assert calls == [("Paris", "C"), ("Rome", "C")]
    assert [(call.tool, call.model, call.hit, call.cost) for call in recorded.calls] == [
        ("weather", "", "live", Decimal(0))
    ] * 2
    assert [(call.tool, call.hit, call.key) for call in cassette.calls] == [
        ("weather", "cassette", call.key) for call in recorded.calls
    ]
    assert cassette.unplayed == ()


def test_the_kth_same_call_gets_the_kth_answer_and_one_more_is_exhausted():
    numbers = itertools.count()
    counted, _ = weather(lambda *_: str(next(numbers)))
    record(counted, ["Paris"], ["Paris"])
    player, _ = weather(never)
    assert replay(player, ["Paris"], ["Paris"])[0] == ["0", "1"]
    with pytest.raises(lmtest.CassetteExhausted, match="recorded 2 times and was asked for once more"):
        replay(player, *[["Paris"]] * 3)
    assert replay(player, *[["Paris"]] * 3, repeat="last")[0] == ["0", "1", "1"]


def test_arguments_are_the_same_however_they_are_passed():
    recorder, _ = weather()
    record(recorder, ["Paris", "F"])
    player, _ = weather(never)
    with lmtest.use_cassette("tools.yaml"):
        assert player(unit="F", city="Paris") == "Paris: 20 F"


def test_auto_plays_what_is_recorded_and_records_the_rest():
    first, _ = weather()
    record(first, ["Paris"])
    second, calls = weather()
    _, cassette = record(second, ["Paris"], ["Rome"], mode="auto")
    assert calls == [("Rome", "C")]
    assert [call.hit for call in cassette.calls] == ["cassette", "live"]
    assert replay(weather(never)[0], ["Paris"], ["Rome"])[0] == ["Paris: 20 C", "Rome: 20 C"]


def test_live_calls_and_writes_nothing(project):
    function, calls = weather(lambda *_: {"a", "set"})
    answers, cassette = record(function, ["Paris"], mode="live")
    assert answers == [{"a", "set"}]
    assert calls == [("Paris", "C")]
    assert [call.hit for call in cassette.calls] == ["live"]
    assert not Path("tools.yaml").exists()


def test_mock_makes_up_a_value_of_the_type_it_returns_and_always_the_same():
    @lmtest.tool
    def rate(city: str) -> Annotated[int, pydantic.Field(ge=1, le=5)]:
        never()

    @lmtest.tool
    def find(city: str) -> list[dict[str, Literal["a", "b"]]] | None:
        never()

    @lmtest.tool
    def tell(city):
        never()

    @lmtest.tool
    def forget(city) -> None:
        never()

    with lmtest.use_cassette(mode="mock") as cassette:
        made = [each(city="Paris") for each in (rate, find, tell, forget)]
        assert made == [each("Paris") for each in (rate, find, tell, forget)]
    assert 1 <= made[0] <= 5
    assert all(value in {"a", "b"} for item in made[1] for value in item.values())
    assert made[2].startswith('Mock tell for "Paris": ')
    assert made[3] is None
    assert {call.hit for call in cassette.calls} == {"mock"}


def test_mock_calls_what_it_is_given_instead():
    function, calls = weather(never, mock="sunny in {}".format)
    assert record(function, ["Paris"], mode="mock")[0] == ["sunny in Paris"]
    assert calls == []


def test_mock_says_so_where_it_has_nothing_to_make_a_value_up_from():
    @lmtest.tool
    def handler(city: str) -> Callable[[], int]:
        never()

    with pytest.raises(lmtest.ConfigurationError, match=r"cannot make up what the tool 'handler' returns.*mock=…"):
        record(handler, ["Paris"], mode="mock")


def test_outside_a_cassette_nothing_changes():
    function, calls = weather(lambda *_: {1})
    assert function("Paris", unit="F") == {1}
    assert calls == [("Paris", "F")]


# ── what is wrapped ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_function_keeps_what_dspy_reads_from_it():
    function, _ = weather()
    plain = dspy.Tool(function)
    assert (plain.name, plain.desc) == ("weather", "Tell the weather of a city.")
    assert plain.args == {"city": {"type": "string"}, "unit": {"type": "string", "default": "C"}}


def test_a_dspy_tool_stays_one_with_the_same_prompt():
    bare = dspy.Tool(lambda place: f"{place}: 20", name="weather", desc="Weather.", args={"place": {"type": "string"}})
    wrapped = lmtest.tool(bare)
    assert isinstance(wrapped, dspy.Tool)
    assert str(wrapped) == str(bare)
    with lmtest.use_cassette("tools.yaml", mode="record") as cassette:
        assert wrapped(place="Paris") == "Paris: 20"
    assert [each.request for each in cassette.recorded] == [{"tool": "weather", "arguments": {"place": "Paris"}}]
    assert bare.func("Rome") == "Rome: 20"


def test_a_tool_of_any_arguments_is_recorded_with_their_names():
    @lmtest.tool
    def call(*numbers, **named):
        return [*numbers, named]

    _, cassette = record(lambda: call(1, 2, deep={"a": None}), [])
    assert cassette.recorded[0].request["arguments"] == {"numbers": [1, 2], "deep": {"a": None}}


def test_arguments_may_be_models_and_dates_the_key_sees_their_json():
    class Place(pydantic.BaseModel):
        city: str

    @lmtest.tool
    def weather(place: Place):
        return place.city

    _, cassette = record(lambda: dspy.Tool(weather)(place={"city": "Paris"}), [])
    assert cassette.recorded[0].request["arguments"] == {"place": {"city": "Paris"}}


def test_a_coroutine_function_is_recorded_and_replayed_too():
    calls = []

    @lmtest.tool
    async def weather(city: str) -> str:
        await asyncio.sleep(0)
        calls.append(city)
        return f"{city}: 20"

    async def ask(mode):
        async with lmtest.use_cassette("tools.yaml", mode=mode):
            return await asyncio.gather(*(weather(city) for city in ("Paris", "Rome", "Oslo")))

    recorded = asyncio.run(ask("record"))
    assert asyncio.run(ask("replay")) == recorded == ["Paris: 20", "Rome: 20", "Oslo: 20"]
    assert sorted(calls) == ["Oslo", "Paris", "Rome"]


def test_what_is_no_function_is_refused():
    with pytest.raises(lmtest.ConfigurationError, match=r"was given a int: it takes a function or a dspy\.Tool"):
        lmtest.tool(3)


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(value=JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_json_value_comes_back_as_it_went(value, project):
    path = project / "tools.yaml"
    echo = lmtest.tool(lambda: value, name="echo")
    record(echo, [], path=path)
    [played], _ = replay(lmtest.tool(never, name="echo"), [], path=path)
    assert repr(played) == repr(value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"found": [1, {2}]}, r"returned a set at found\[1\]"),
        ((1, 2), "returned a tuple"),
        ({1: "a"}, "returned a dict with keys that are no text"),
        (math.nan, "returned nan"),
        (b"raw", "returned a bytes"),
        (Decimal(1), "returned a Decimal"),
    ],
)
def test_a_result_that_json_cannot_say_is_an_error_that_names_its_type(value, told):
    with pytest.raises(lmtest.ConfigurationError, match=f"the tool 'weather' {told}, which a cassette cannot hold"):
        record(weather(lambda *_: value)[0], ["Paris"])
    assert not Path("tools.yaml").exists()


def test_an_argument_that_json_cannot_say_is_named_too():
    with pytest.raises(lmtest.ConfigurationError, match=r"'weather' was given a object as 'city' at city"):
        record(weather()[0], [object()])


def test_what_the_program_does_to_a_result_is_not_recorded():
    function, _ = weather(lambda *_: ["a"])
    with lmtest.use_cassette("tools.yaml", mode="record"):
        function("Paris").append("b")
    assert replay(weather(never)[0], ["Paris"])[0] == [["a"]]


def test_a_value_refused_is_not_lost_where_the_program_catches_it():
    function, _ = weather(lambda *_: {1})
    with pytest.raises(lmtest.ConfigurationError, match="returned a set"):
        with lmtest.use_cassette("tools.yaml", mode="record"):
            try:
                function("Paris")
            except lmtest.ConfigurationError:
                pass
    assert not Path("tools.yaml").exists()


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def raising(error):
    def answer(*_):
        raise error

    return weather(answer)[0]


@pytest.mark.parametrize(
    "error", [ValueError("no such city"), KeyError("Paris"), Unknown("Paris", hint="try Rome"), OSError(2, "gone")]
)
def test_an_error_is_recorded_and_raised_again_as_what_it_was(error):
    for mode, function in (("record", raising(error)), ("replay", weather(never)[0])):
        with lmtest.use_cassette("tools.yaml", mode=mode) as cassette, pytest.raises(type(error)) as caught:
            function("Paris")
        assert str(caught.value) == str(error)
        assert cassette.calls[0].failed.endswith(f": {error}")


def test_an_error_whose_class_is_not_loaded_keeps_its_name_and_words():
    module = type("Gone", (Exception,), {"__module__": "gone.away"})
    with lmtest.use_cassette("tools.yaml", mode="record"), pytest.raises(module):
        raising(module("no more"))("Paris")
    with lmtest.use_cassette("tools.yaml"), pytest.raises(lmtest.ToolError) as caught:
        weather(never)[0]("Paris")
    assert (type(caught.value).__module__, type(caught.value).__name__) == ("gone.away", "Gone")
    assert str(caught.value) == "no more"


def test_a_miss_says_what_is_recorded_and_how_it_differs():
    record(weather()[0], ["Paris"])
    with pytest.raises(lmtest.CassetteMiss) as caught:
        replay(weather(never)[0], ["Lyon"])
    assert "this call of the tool 'weather' is not recorded" in str(caught.value)
    assert "arguments.city: [-Paris-]{+Lyon+}" in str(caught.value)


def test_a_miss_the_program_caught_fails_the_block_all_the_same():
    record(weather()[0], ["Paris"])
    with pytest.raises(lmtest.CassetteMiss), lmtest.use_cassette("tools.yaml"):
        with pytest.raises(lmtest.CassetteMiss):
            weather(never)[0]("Lyon")


def test_a_call_after_the_cassette_was_closed_is_refused_by_name():
    function, _ = weather()
    go, failures = threading.Event(), []

    def late():
        go.wait(10)
        try:
            function("Paris")
        except lmtest.LMTestError as error:
            failures.append(str(error))

    with lmtest.use_cassette("tools.yaml", mode="record"):
        thread = threading.Thread(target=contextvars.copy_context().run, args=(late,))
        thread.start()
    go.set()
    thread.join()
    assert "a call of the tool 'weather' came after its cassette tools.yaml was closed" in failures[0]


# ── what does not matter, and secrets ────────────────────────────────────────────────────────────────────────────────


def test_ignored_and_scrubbed_parts_do_not_matter():
    rules = {"ignore": ("arguments.unit",), "scrub": ("date",)}
    record(weather()[0], ["Paris on 2026-11-20", "C"], **rules)
    assert replay(weather(never)[0], ["Paris on 2027-01-01", "F"], **rules)[0] == ["Paris on 2026-11-20: 20 C"]


def test_secrets_never_reach_the_file(monkeypatch):
    monkeypatch.setenv("WEATHER_API_KEY", "s3cr3t-s3cr3t-s3cr3t")
    function, _ = weather(lambda *_: {"echo": "s3cr3t-s3cr3t-s3cr3t", "password": "hunter2"})
    record(function, ["with s3cr3t-s3cr3t-s3cr3t"])

    @lmtest.tool
    def log_in(password):
        return True

    record(log_in, ["hunter2"], path="log_in.yaml")
    text = Path("tools.yaml").read_text() + Path("log_in.yaml").read_text()
    assert "s3cr3t" not in text
    assert "hunter2" not in text
    replay(log_in, ["hunter3"], path="log_in.yaml")
    monkeypatch.setenv("WEATHER_API_KEY", "another-another-another")
    assert replay(weather(never)[0], ["with another-another-another"])[0][0]["echo"] == "<redacted:WEATHER_API_KEY>"


def test_tools_leave_no_row_in_the_ledger(project):
    record(weather()[0], ["Paris"])
    replay(weather(never)[0], ["Paris"])
    ledger = Ledger(project / ".lmtest" / "ledger.sqlite3")
    assert list(ledger) == []
    ledger.close()

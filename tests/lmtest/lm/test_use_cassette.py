"""What ``use_cassette`` promises: nothing in the program changes, and every call is answered as the mode says."""

import asyncio
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import dspy
import pytest
from dspy.clients import execution

import lmtest
from lmtest.lm import seam
from lmtest.money.ledger import Ledger

QUESTION = "What is the capital of France?"
qa = dspy.Predict("question -> answer")


def record(lm, *questions, path="qa.yaml", **options):
    with dspy.context(lm=lm), lmtest.use_cassette(path, mode="record", **options) as cassette:
        answers = [qa(question=question).answer for question in questions]
    return answers, cassette


# ── the four modes ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_recorded_is_replayed_without_server_or_key(lm, provider, unreachable_lm):
    [answer], _ = record(lm, QUESTION)
    provider.close()
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml", mode="replay") as cassette:
        assert qa(question=QUESTION).answer == answer
    assert [call.hit for call in cassette.calls] == ["cassette"]
    assert cassette.unplayed == ()


def test_replay_is_the_mode_where_nobody_says_one(lm, unreachable_lm):
    [answer], _ = record(lm, QUESTION)
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml") as cassette:
        assert qa(question=QUESTION).answer == answer
    assert cassette.mode is lmtest.Mode.REPLAY


def test_the_environment_wins_over_the_argument(lm, monkeypatch, provider):
    monkeypatch.setenv("LM_MODE", "mock")
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="record") as cassette:
        assert qa(question=QUESTION).answer
    assert cassette.mode is lmtest.Mode.MOCK
    assert provider.requests == []


def test_mock_mode_needs_no_recording_and_touches_nothing(unreachable_lm, project):
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette(mode="mock") as cassette:
        result = dspy.ChainOfThought("question -> answer: int, sure: bool")(question=QUESTION)
    assert isinstance(result.answer, int)
    assert isinstance(result.sure, bool)
    assert [call.hit for call in cassette.calls] == ["mock"]
    assert list(project.glob("*.yaml")) == []


def test_live_mode_calls_and_writes_nothing(lm, provider, project):
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="live") as cassette:
        qa(question=QUESTION)
    assert len(provider.requests) == 1
    assert [call.hit for call in cassette.calls] == ["live"]
    assert not Path("qa.yaml").exists()


def test_the_modes_of_the_enum_are_whole():
    assert [mode.value for mode in lmtest.Mode] == ["mock", "replay", "record", "auto", "refresh", "live"]


# ── engines, async and streams ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("engine", ["auto", "lm15", "litellm"])
def test_every_engine_is_recorded_and_replayed(engine, provider):
    here = dspy.LM("gemini/gemini-2.5-flash", api_base=f"{provider.url}/v1beta", api_key="k" * 12, engine=engine)
    [answer], recorded = record(here, QUESTION)
    provider.close()
    with dspy.context(lm=here), lmtest.use_cassette("qa.yaml", mode="replay"):
        assert qa(question=QUESTION).answer == answer
    assert "source: stand-in" in Path("qa.yaml").read_text()
    assert recorded.recorded[0].usage.input_tokens


def test_a_recording_serves_every_engine(lm, unreachable_lm):
    [answer], _ = record(lm, QUESTION)
    with dspy.context(lm=unreachable_lm.copy(engine="litellm")), lmtest.use_cassette("qa.yaml"):
        assert qa(question=QUESTION).answer == answer


async def _acall(question):
    return (await qa.acall(question=question)).answer


@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_async_calls_are_recorded_and_replayed(engine, provider):
    here = dspy.LM("gemini/gemini-2.5-flash", api_base=f"{provider.url}/v1beta", api_key="k" * 12, engine=engine)

    async def ask(mode):
        with dspy.context(lm=here):
            async with lmtest.use_cassette("qa.yaml", mode=mode):
                return await asyncio.gather(*(_acall(f"{QUESTION} {n}") for n in range(4)))

    answers = asyncio.run(ask("record"))
    provider.close()
    assert asyncio.run(ask("replay")) == answers


async def _streamed(program, question):
    chunks, prediction = [], None
    async for item in program(question=question):
        if isinstance(item, dspy.Prediction):
            prediction = item
        else:
            chunks.append(item)
    return chunks, prediction


def _stream(here, mode, path="stream.yaml"):
    program = dspy.streamify(
        dspy.Predict("question -> answer"), stream_listeners=[dspy.streaming.StreamListener("answer")]
    )
    with dspy.context(lm=here), lmtest.use_cassette(path, mode=mode):
        chunks, prediction = asyncio.run(_streamed(program, QUESTION))
    return "".join(chunk.chunk for chunk in chunks), prediction.answer


@pytest.mark.parametrize("engine", ["auto", "litellm"])
def test_streams_are_recorded_and_replayed(engine, provider):
    here = dspy.LM("gemini/gemini-2.5-flash", api_base=f"{provider.url}/v1beta", api_key="k" * 12, engine=engine)
    recorded = _stream(here, "record")
    provider.close()
    assert _stream(here, "replay") == recorded
    assert recorded[0].strip() == recorded[1]


def test_a_stream_is_answered_from_a_whole_recording(lm, unreachable_lm):
    [answer], _ = record(lm, QUESTION)
    chunks, whole = _stream(unreachable_lm, "replay", "qa.yaml")
    assert (chunks.strip(), whole) == (answer, answer)


def test_a_whole_call_is_answered_from_a_recorded_stream(lm, unreachable_lm):
    _, answer = _stream(lm, "record", "qa.yaml")
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml"):
        assert qa(question=QUESTION).answer == answer


def test_the_kth_candidate_gets_the_kth_recording(lm, unreachable_lm):
    several = dspy.Predict("question -> answer", n=3, temperature=1.0)
    with dspy.context(lm=lm), lmtest.use_cassette("n.yaml", mode="record") as cassette:
        recorded = several(question=QUESTION).completions.answer
    assert len(cassette.recorded) == 3
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("n.yaml") as cassette:
        assert several(question=QUESTION).completions.answer == recorded
    assert cassette.unplayed == ()


# ── nothing in the program changes ───────────────────────────────────────────────────────────────────────────────────


def test_a_warm_dspy_cache_does_not_answer_instead(lm, provider, fresh_question):
    with dspy.context(lm=lm):
        qa(question=fresh_question)
    _, cassette = record(lm, fresh_question)
    assert len(cassette.recorded) == 1
    assert len(provider.requests) == 2


def test_dspy_and_its_cache_are_as_they_were_afterwards(lm, provider, fresh_question):
    record(lm, fresh_question)
    with dspy.context(lm=lm):
        qa(question=fresh_question)
        qa(question=fresh_question)
    assert len(provider.requests) == 2, "of two equal calls outside, DSPy's own cache answers the second"


def test_history_and_usage_read_the_same_in_replay(lm, unreachable_lm):
    record(lm, QUESTION)
    with dspy.context(lm=unreachable_lm, track_usage=True), lmtest.use_cassette("qa.yaml"):
        result = qa(question=QUESTION)
    then, now = lm.history[-1], unreachable_lm.history[-1]
    assert now["usage"] == then["usage"]
    assert now["cost"] == then["cost"] > 0
    assert result.get_lm_usage()["gemini/gemini-2.5-flash"]["prompt_tokens"] == then["usage"]["prompt_tokens"]


def test_a_dummy_lm_answers_for_itself():
    with (
        dspy.context(lm=dspy.utils.DummyLM([{"answer": "blue"}])),
        lmtest.use_cassette("none.yaml", may_be_absent=True),
    ):
        assert qa(question="What colour is the sky?").answer == "blue"


def test_it_decorates_functions_and_coroutines(lm, unreachable_lm):
    [answer], _ = record(lm, QUESTION)

    @lmtest.use_cassette("qa.yaml")
    def ask():
        return qa(question=QUESTION).answer

    @lmtest.use_cassette("qa.yaml")
    async def ask_async():
        return await _acall(QUESTION)

    with dspy.context(lm=unreachable_lm):
        assert [ask(), ask(), asyncio.run(ask_async())] == [answer] * 3


# ── whose call it is ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_cassettes_in_two_threads_never_mix(lm):
    def run(name):
        with dspy.context(lm=lm), lmtest.use_cassette(f"{name}.yaml", mode="record") as cassette:
            started.wait()
            for turn in range(5):
                qa(question=f"{name} {turn}")
        kept[name] = list(cassette.recorded)

    kept, started = {}, threading.Barrier(2)
    threads = [threading.Thread(target=run, args=(name,)) for name in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("left", "right"):
        assert len(kept[name]) == 5
        assert all(f"{name} " in str(each.request) for each in kept[name])


def test_two_cassettes_in_two_tasks_never_mix(lm):
    async def run(name):
        async with lmtest.use_cassette(f"{name}.yaml", mode="record") as cassette:
            await asyncio.gather(*(_acall(f"{name} {turn}") for turn in range(3)))
        return [str(each.request) for each in cassette.recorded]

    async def both():
        return await asyncio.gather(run("left"), run("right"))

    with dspy.context(lm=lm):
        left, right = asyncio.run(both())
    assert len(left) == len(right) == 3
    assert all("left" in text for text in left)
    assert all("right" in text for text in right)


def test_an_inner_cassette_takes_its_calls_and_gives_them_back(lm):
    with dspy.context(lm=lm), lmtest.use_cassette("outer.yaml", mode="record") as outer:
        qa(question="one")
        with lmtest.use_cassette("inner.yaml", mode="record") as inner:
            qa(question="two")
        qa(question="three")
    assert (len(outer.recorded), len(inner.recorded)) == (2, 1)


def test_parallel_threads_of_dspy_belong_to_the_cassette(lm, unreachable_lm):
    examples = [dspy.Example(question=f"q{n}").with_inputs("question") for n in range(6)]
    with dspy.context(lm=lm), lmtest.use_cassette("p.yaml", mode="record"):
        recorded = qa.batch(examples, num_threads=3, disable_progress_bar=True)
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("other.yaml", mode="mock"):
        with lmtest.use_cassette("p.yaml", mode="replay") as cassette:
            replayed = qa.batch(examples, num_threads=3, disable_progress_bar=True)
    assert [each.answer for each in replayed] == [each.answer for each in recorded]
    assert len(cassette.played) == 6


def _in_a_plain_thread(lm, question):
    outcome = []

    def call():
        with dspy.context(lm=lm):
            try:
                outcome.append(qa(question=question).answer)
            except Exception as error:  # the test looks at it
                outcome.append(error)

    thread = threading.Thread(target=call, name="nobody's")
    thread.start()
    thread.join()
    return outcome[0]


def test_a_plain_thread_goes_to_the_only_open_cassette(lm, unreachable_lm):
    [answer], _ = record(lm, QUESTION)
    with lmtest.use_cassette("qa.yaml") as cassette:
        assert _in_a_plain_thread(unreachable_lm, QUESTION) == answer
    assert len(cassette.played) == 1


def test_a_plain_thread_is_refused_by_name_when_two_cassettes_are_open(lm, provider):
    with lmtest.use_cassette("one.yaml", mode="record"), lmtest.use_cassette("two.yaml", mode="record"):
        error = _in_a_plain_thread(lm, QUESTION)
    assert isinstance(error, lmtest.LMTestError)
    assert all(name in str(error) for name in ("nobody's", "one.yaml", "two.yaml"))
    assert provider.requests == []


def test_a_call_after_the_cassette_was_closed_is_refused(lm, provider):
    async def late():
        with lmtest.use_cassette("qa.yaml", mode="record"):
            closed = asyncio.Event()

            async def call():
                await closed.wait()
                return await _acall(QUESTION)

            task = asyncio.create_task(call())
        closed.set()
        return await asyncio.gather(task, return_exceptions=True)

    with dspy.context(lm=lm):
        [error] = asyncio.run(late())
    assert isinstance(error, lmtest.LMTestError)
    assert "was closed" in str(error)
    assert provider.requests == []


# ── misses ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_miss_shows_the_word_that_changed_and_how_to_record_it(lm, unreachable_lm):
    record(lm, QUESTION, test="tests/test_qa.py::test_capital")
    with (
        dspy.context(lm=unreachable_lm),
        pytest.raises(lmtest.CassetteMiss) as caught,
        lmtest.use_cassette("qa.yaml", test="tests/test_qa.py::test_capital"),
    ):
        qa(question="What is the capital of Spain?")
    text = str(caught.value)
    assert "What is the capital of [-France-]{+Spain+}?" in text
    assert "messages[0].user" in text
    assert "qa.yaml" in text
    assert "LM_MODE=record pytest 'tests/test_qa.py::test_capital'" in text
    [near] = caught.value.nearest
    assert [difference.path for difference in near.differences] == ["messages[0].user"]


def test_a_miss_is_not_retried_by_dspy(lm, unreachable_lm):
    record(lm, QUESTION)
    with (
        dspy.context(lm=unreachable_lm),
        pytest.raises(lmtest.CassetteMiss),
        lmtest.use_cassette("qa.yaml") as cassette,
    ):
        qa(question="Another?")
    assert len(cassette.missed) == 1


def test_a_swallowed_miss_is_raised_when_the_block_ends(lm, unreachable_lm):
    record(lm, QUESTION)
    with dspy.context(lm=unreachable_lm), pytest.raises(lmtest.CassetteMiss), lmtest.use_cassette("qa.yaml"):
        try:
            qa(question="Another?")
        except Exception:
            pass


def test_a_miss_that_is_expected_may_be_caught(lm, unreachable_lm):
    record(lm, QUESTION)
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml", allow_misses=True) as cassette:
        with pytest.raises(lmtest.CassetteMiss):
            qa(question="Another?")
    assert len(cassette.missed) == 1


def test_asking_once_more_than_was_recorded_is_exhausted(lm, unreachable_lm):
    record(lm, QUESTION)
    with (
        dspy.context(lm=unreachable_lm),
        pytest.raises(lmtest.CassetteExhausted, match="recorded 1 time"),
        lmtest.use_cassette("qa.yaml"),
    ):
        qa(question=QUESTION)
        qa(question=QUESTION)


def test_repeat_last_answers_once_more(lm, unreachable_lm):
    [answer], _ = record(lm, QUESTION)
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml", repeat="last"):
        assert [qa(question=QUESTION).answer for _ in range(3)] == [answer] * 3


def test_a_missing_cassette_says_how_to_record_it():
    with pytest.raises(lmtest.CassetteNotFound, match="LM_MODE=record"), lmtest.use_cassette("absent.yaml"):
        pass


# ── what is written ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_exception_in_the_block_keeps_the_old_bytes(lm):
    record(lm, QUESTION)
    before = Path("qa.yaml").read_bytes()
    with dspy.context(lm=lm), pytest.raises(ZeroDivisionError), lmtest.use_cassette("qa.yaml", mode="record"):
        qa(question="Something else?")
        1 / 0  # noqa: B018
    assert Path("qa.yaml").read_bytes() == before


def test_a_block_that_called_nothing_keeps_the_old_bytes(lm):
    record(lm, QUESTION)
    before = Path("qa.yaml").read_bytes()
    with lmtest.use_cassette("qa.yaml", mode="record"):
        pass
    assert Path("qa.yaml").read_bytes() == before


def test_recording_without_a_key_says_what_to_set(monkeypatch):
    here = dspy.LM("gemini/gemini-2.5-flash")
    with (
        dspy.context(lm=here),
        pytest.raises(lmtest.ConfigurationError, match="GEMINI_API_KEY"),
        lmtest.use_cassette("qa.yaml", mode="record"),
    ):
        qa(question=QUESTION)
    assert not Path("qa.yaml").exists()


def test_the_key_of_the_provider_is_not_in_the_file(lm):
    record(lm, QUESTION)
    assert "a-key-for-the-stand-in" not in Path("qa.yaml").read_text()


def test_a_secret_in_a_prompt_is_redacted_and_still_replays(lm, unreachable_lm, monkeypatch):
    monkeypatch.setenv("SERVICE_TOKEN", "hush-hush-hush")
    question = "Why does hush-hush-hush not work?"
    [answer], _ = record(lm, question)
    assert "hush-hush-hush" not in Path("qa.yaml").read_text()
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml"):
        assert "Mock answer" in qa(question=question).answer
        assert answer


def test_failures_of_the_provider_are_kept_only_on_demand(provider):
    here = dspy.LM("gemini/no-such-model", api_base=f"{provider.url}/v1beta", api_key="k" * 12)
    for keep in (False, True):
        with dspy.context(lm=here), lmtest.use_cassette("f.yaml", mode="record", record_failures=keep):
            with pytest.raises(dspy.LMError):
                qa(question=QUESTION)
        assert Path("f.yaml").exists() is keep


def test_a_recorded_failure_is_the_same_exception_in_replay(provider):
    here = dspy.LM("gemini/no-such-model", api_base=f"{provider.url}/v1beta", api_key="k" * 12)
    caught = []
    for mode in ("record", "replay"):
        with dspy.context(lm=here), lmtest.use_cassette("f.yaml", mode=mode, record_failures=True):
            with pytest.raises(dspy.LMError) as error:
                qa(question=QUESTION)
        caught.append(error.value)
    assert type(caught[0]) is type(caught[1])
    assert str(caught[0]) == str(caught[1])
    assert (caught[0].status, caught[0].retry_after) == (caught[1].status, caught[1].retry_after)


# ── money ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_call_is_a_row_of_the_ledger(lm, unreachable_lm, project):
    _, recorded = record(lm, QUESTION, test="a::b")
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml", test="a::b"):
        qa(question=QUESTION)
    live, played = list(Ledger(project / ".lmtest" / "ledger.sqlite3"))
    assert (live.hit, live.mode, live.test, live.cassette) == ("live", "record", "a::b", "qa.yaml")
    assert live.cost == recorded.cost > 0
    assert (played.hit, played.cost, played.would_cost) == ("cassette", Decimal(0), live.cost)


def test_the_rows_of_live_and_played_calls_name_the_execution(lm, unreachable_lm, project):
    record(lm, "What is the capital of France?", execution="exec_1")
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml", execution="exec_2"):
        qa(question="What is the capital of France?")
    rows = list(Ledger(project / ".lmtest" / "ledger.sqlite3"))
    assert [(row.hit, row.execution) for row in rows] == [("live", "exec_1"), ("cassette", "exec_2")]


def test_the_ledger_can_be_switched_off(lm, project, monkeypatch):
    monkeypatch.setenv("LMTEST_LEDGER", "off")
    record(lm, QUESTION)
    assert not (project / ".lmtest").exists()


# ── the check of DSPy ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_function_of_dspy_that_has_changed_is_named_with_the_versions(monkeypatch):
    monkeypatch.setattr(execution, "_engine", lambda somebody, else_: (somebody, else_))
    with pytest.raises(lmtest.ConfigurationError) as caught:
        seam.check()
    assert f"dspy {dspy.__version__}" in str(caught.value)
    assert f"lmtest {lmtest.__version__}" in str(caught.value)
    assert "_engine takes (somebody, else_)" in str(caught.value)


def test_a_function_of_dspy_that_is_gone_is_named(monkeypatch):
    monkeypatch.delattr(execution, "_canonical")
    with pytest.raises(lmtest.ConfigurationError, match="no _canonical"):
        seam.check()


def test_a_dspy_that_is_too_new_is_one_sentence_and_exit_code_2(tmp_path):
    code = """
import dspy
dspy.__version__ = "4.0.0"
from python_worker.__main__ import main
main()
"""
    command = [
        sys.executable,
        "-c",
        code,
        "serve",
        "--lm-mode",
        "mock",
        "--port",
        "0",
        "--data-dir",
        str(tmp_path / "data"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "dspy 4.0.0 is not a version lmtest" in done.stderr


def test_a_table_of_models_from_the_network_is_refused(monkeypatch):
    from dspy.clients import model_metadata

    monkeypatch.setitem(model_metadata._source, "source", "remote")
    with (
        pytest.raises(lmtest.ConfigurationError, match="LITELLM_LOCAL_MODEL_COST_MAP"),
        lmtest.use_cassette(mode="mock"),
    ):
        pass


def test_the_stand_in_never_passes_for_gemini(lm):
    record(lm, QUESTION)
    assert "source: stand-in" in Path("qa.yaml").read_text().split("---")[0]


def test_a_ledger_that_cannot_be_written_does_not_fail_a_replay(lm, unreachable_lm, monkeypatch, caplog):
    [answer], _ = record(lm, QUESTION)
    monkeypatch.setenv("LMTEST_LEDGER", "/proc/nowhere/ledger.sqlite3")
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml"):
        assert qa(question=QUESTION).answer == answer
    assert "Played calls are not counted" in caplog.text
    assert "LMTEST_LEDGER=off" in caplog.text

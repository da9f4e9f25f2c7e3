"""What an execution puts on record."""

from dataclasses import asdict, replace
from decimal import Decimal

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lmtest
from python_worker.domain.action import ActionMoment, ActionResult
from python_worker.domain.audit_export import to_lines
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.execution import ExecutionStatus, Fallback
from python_worker.domain.media import Media
from python_worker.domain.recording import Refreshed
from python_worker.domain.stage import Stage, StageStatus
from python_worker.domain.value import fingerprint
from python_worker.store import AuditLog, ExecutionTrail, SqlExecutions
from python_worker.store.audit import events_of
from python_worker.store.stages import from_entries, to_entry

from .records import CALL, KEY, USE, begun, run, stage

SECRET = "tok_5ecret-of-a-customer"
HASHES = ExecutionTrail(redact=lmtest.redact)
VALUES = ExecutionTrail(values=True, redact=lmtest.redact)


@pytest.fixture(scope="module", autouse=True)
def secret():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUSTOMER_TOKEN", SECRET)
        yield


def payloads(entries):
    return [orjson.loads(entry.payload) for entry in entries]


def on_record(database, execution_id="exec_1"):
    with database.read() as connection:
        return [(event.entry.kind, orjson.loads(event.entry.payload)) for event in events_of(connection, execution_id)]


def test_a_run_is_on_record_with_its_stages_its_model_calls_its_tools_and_who_asked(database, executions):
    run(executions, session="ada", asked_by="adas-token")
    (_, started), *stages, (_, finished) = on_record(database)
    assert (started["program_id"], started["program_version"], started["asked_by"]) == ("prog_1", 1, "adas-token")
    assert started["inputs_sha256"] == fingerprint({"q": "why"})
    assert finished["outputs_sha256"] == fingerprint({"a": "because"})
    assert (finished["status"], finished["adapter_used"], finished["attempts"]) == ("succeeded", "inline", 1)
    assert [said["stage"] for _, said in stages] == [each.value for each in Stage]
    asking = stages[2][1]
    assert {"status": "ok", "duration": 0.001, "detail": "done"}.items() <= asking.items()
    (call,), (use,) = asking["calls"], asking["tools"]
    assert Decimal(call.pop("cost")) == CALL.cost
    assert call.pop("recording") == asdict(CALL.recording)
    assert call == {name: value for name, value in vars(CALL).items() if name not in {"cost", "recording"}}
    assert use == vars(USE)


def test_an_execution_comes_back_with_its_tools(executions):
    ended = run(executions)
    assert executions.get("exec_1").stages == ended.stages


def test_how_it_ended_is_on_record_with_what_stood_in_its_way():
    refused = ActionResult(action="complex_validation", moment=ActionMoment.BEFORE, refused=True, reason="too long")
    error = WorkerError("it took too long", reason=Reason.TIMEOUT)
    ended = replace(
        begun(),
        status=ExecutionStatus.TIMED_OUT,
        error=error,
        attempts=2,
        fallbacks=(Fallback(adapter="ray", why="not installed"),),
        action_results=(refused,),
    )
    (said,) = payloads(HASHES.ended(ended, ()))
    assert (said["status"], said["reason"], said["message"]) == ("timed_out", "timeout", "it took too long")
    assert said["attempts"] == 2
    assert said["fallbacks"] == [{"adapter": "ray", "why": "not installed"}]
    (action,) = said["actions"]
    assert (action["action"], action["moment"], action["refused"]) == ("complex_validation", "before", True)


def test_values_are_told_by_hash_alone_unless_asked_for(database, executions):
    run(executions, inputs={"q": "a question"}, outputs={"a": "an answer"})
    told = str(on_record(database))
    assert "a question" not in told
    assert "an answer" not in told


def test_values_are_told_redacted_where_asked_for(database, executions):
    run(
        SqlExecutions(database, trail=VALUES),
        inputs={"q": f"open with {SECRET}", "deep": {"password": "x", "n": [1, 2.5, None, True]}},
        outputs={"a": "because"},
    )
    (_, started), *_, (_, finished) = on_record(database)
    assert started["inputs"] == {
        "q": "open with <redacted:CUSTOMER_TOKEN>",
        "deep": {"password": "<redacted>", "n": [1, 2.5, None, True]},
    }
    assert finished["outputs"] == {"a": "because"}


def test_media_are_told_by_hash_even_then():
    image = Media(mime_type="image/png", data=b"abc")
    (started, *_) = payloads(VALUES.begun(begun(inputs={"image": image})))
    assert started["inputs"] == {"image": {"sha256": fingerprint(image)}}


def test_all_of_a_run_that_is_told_at_once_is_what_its_two_halves_tell():
    ended = replace(begun(), status=ExecutionStatus.FAILED)
    halves = [*HASHES.begun(begun()), *HASHES.ended(ended, ())]
    assert [(each.kind, each.payload) for each in HASHES.whole(ended)] == [(each.kind, each.payload) for each in halves]


TEXTS = st.text(max_size=5)
SEEDED = st.tuples(TEXTS, TEXTS).map(SECRET.join)
JSON = st.recursive(
    st.one_of(SEEDED, TEXTS, st.integers(-5, 5), st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SEEDED | TEXTS, inner, max_size=3),
    max_leaves=8,
)


def texts(value):
    """Every text in a JSON value, names of fields too."""
    if isinstance(value, str):
        yield value
    for item in value.items() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        yield from texts(item)


@given(inputs=st.dictionaries(TEXTS, JSON, max_size=3), outputs=st.dictionaries(TEXTS, JSON, max_size=3), words=SEEDED)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_seeded_secret_ever_reaches_the_trail(inputs, outputs, words):
    inputs, outputs, words = (orjson.loads(orjson.dumps(clean(each))) for each in (inputs, outputs, words))
    failed = stage(Stage.ADAPTER_EXECUTION, StageStatus.FAILED, detail=words, tools=(replace(USE, error=words),))
    ended = replace(
        begun(inputs=inputs),
        status=ExecutionStatus.FAILED,
        outputs=outputs,
        raw_answer=words,
        error=WorkerError(words, reason=Reason.PROVIDER_FAILURE),
        action_results=(ActionResult(action="a", moment=ActionMoment.AFTER, reason=words, values={"said": words}),),
        stages=(failed,),
    )
    told = payloads(VALUES.whole(ended))
    assert not [text for text in texts(told) if SECRET in text]


def test_no_secret_reaches_the_export_of_a_worker_that_tells_values(start_worker):
    worker = start_worker({"open with": {"answer": f"it is {SECRET}"}}, audit_values=True)
    worker.client.create_signature("signature qa: :string question -> :string answer")
    worker.client.create_program("qa", signature="qa")
    worker.client.execute("qa", {"question": f"open with {SECRET}"})
    with pytest.raises(WorkerError):
        worker.client.execute("qa", {"question": [SECRET]})
    with AuditLog(worker.database).parts() as parts:
        told = b"".join(to_lines(parts, at="", signer=KEY)).decode()
    assert SECRET not in told
    assert told.count("<redacted:CUSTOMER_TOKEN>") >= 4


def clean(value):
    """Without half characters, which no JSON can hold."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    return [clean(item) for item in value] if isinstance(value, list) else value


def test_what_was_played_and_recorded_anew_is_told_from_either_database(database, executions):
    run(executions)
    anew = Refreshed(path="qa.yaml", sha256="3" * 64, ended_well=True)
    execution = replace(begun("exec_2"), status=ExecutionStatus.SUCCEEDED, duration=0.5, refreshed=anew)
    executions.begin(begun("exec_2"))
    executions.finish(execution, ())
    log = AuditLog(database)
    (played,) = log.played()
    assert (played.execution_id, played.place, played.call) == ("exec_1", 1, CALL)
    assert list(log.refreshed()) == [("exec_2", anew)]
    assert log.verify()[1] == []


def test_a_call_of_before_recordings_were_told_reads_as_before():
    entry = to_entry("exec_1", stage(Stage.ADAPTER_EXECUTION, calls=(replace(CALL, recording=None),)), redact=str)
    assert "recording" not in entry.payload
    (record,) = from_entries([entry])
    assert record.calls == (replace(CALL, recording=None),)

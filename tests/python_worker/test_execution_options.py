"""How an execution is asked for, and what is kept of it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from dspy.lm15 import AuthError, RateLimitError, ServerError

from python_worker.client import Reason, connect
from python_worker.client.executions import list_executions
from python_worker.domain.execution import ExecutionStatus, Fallback
from python_worker.domain.stage import Stage, StageStatus
from python_worker.store import AuditLog

from .calling import LONG_ENOUGH, SKY, refused, wait_until, with_program

ASKED = {"question": "sky"}


class InTurn:
    """Answers that come one after another, the last for ever."""

    def __init__(self, engine, *answers):
        self.engine, self.answers = engine, list(answers)

    def __call__(self):
        self.engine.answers = {"sky": self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]}


@pytest.fixture
def worker(start_worker):
    return with_program(start_worker(SKY))


def in_turn(worker, *answers):
    worker.lms.engine._on_call = InTurn(worker.lms.engine, *answers)


# ---- types of inputs


def test_inputs_that_are_not_to_be_validated_reach_the_model_as_they_are(worker):
    execution = worker.client.execute("qa", {"question": ["sky", "sea"]}, validate_inputs=False)
    assert execution.outputs["answer"] == "blue"
    assert execution.inputs == {"question": ["sky", "sea"]}
    assert execution.stages[1].detail == "types are not held to; broken by question"


def test_an_input_that_is_none_of_the_signatures_is_refused_even_so(worker):
    error = refused(worker.client.execute, "qa", {"question": "sky", "colour": "blue"}, validate_inputs=False)
    assert (error.reason, error.field, error.stage) == (Reason.VALIDATION_ERROR, "colour", Stage.INPUT_VALIDATION)


# ---- metrics


def test_metrics_tell_what_a_run_used_where_they_were_asked_for(worker):
    metrics = worker.client.execute("qa", ASKED, track_metrics=True).metrics
    assert (metrics.model_calls, metrics.input_tokens, metrics.output_tokens, metrics.cost) == (1, 12, 3, None)
    assert metrics.in_models == 0.25
    assert metrics.waited >= 0
    assert metrics.processor > 0
    assert worker.client.execute("qa", ASKED).metrics is None


def test_what_was_kept_comes_back_whole_on_either_database(database, start_worker):
    worker = with_program(start_worker(SKY, database=database))
    options = {"track_metrics": True, "idempotency_key": "k", "adapters": ["python_port", "inline"], "retries": 1}
    execution = worker.client.execute("qa", ASKED, **options)
    assert execution.fallbacks == (Fallback(adapter="pool", why=execution.fallbacks[0].why),)
    assert execution.fallbacks[0].why.startswith("comes later")
    assert worker.client.get_execution(execution.id) == execution


# ---- retries


def test_a_retryable_failure_is_tried_again_and_each_attempt_is_told(worker):
    in_turn(worker, RateLimitError("slow down", status=429, retry_after=0.0), SKY["sky"])
    execution = worker.client.execute("qa", ASKED, retries=2, track_metrics=True)
    assert (execution.attempts, execution.metrics.model_calls) == (2, 2)
    attempts = [record for record in execution.stages if record.stage is Stage.ADAPTER_EXECUTION]
    assert [record.status for record in attempts] == [StageStatus.FAILED, StageStatus.OK]
    assert "slow down" in attempts[0].detail
    assert attempts[1].detail == "attempt 2 of 3, inline: 1 model call"
    assert worker.client.get_execution(execution.id).stages == execution.stages


def test_retries_end_when_they_are_used_up(worker):
    in_turn(worker, ServerError("down", status=503, retry_after=0.0))
    error = refused(worker.client.execute, "qa", ASKED, retries=2)
    assert (error.reason, error.retryable) == (Reason.PROVIDER_FAILURE, True)
    assert worker.client.get_execution(error.execution_id).attempts == 3


def test_what_is_not_retryable_is_not_tried_again(worker):
    in_turn(worker, AuthError("no such key", status=401))
    error = refused(worker.client.execute, "qa", ASKED, retries=5)
    assert worker.client.get_execution(error.execution_id).attempts == 1


def test_nothing_is_tried_again_where_the_provider_says_to_wait_beyond_the_deadline(worker):
    in_turn(worker, RateLimitError("slow down", status=429, retry_after=3600.0))
    error = refused(worker.client.execute, "qa", ASKED, retries=5)
    assert (error.reason, error.retry_after) == (Reason.PROVIDER_FAILURE, 3600.0)
    assert worker.client.get_execution(error.execution_id).attempts == 1


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"retries": 11}, "retries"),
        ({"retries": -1}, "retries"),
        ({"idempotency_key": "k" * 201}, "idempotency_key"),
        ({"idempotency_key": "a\0b"}, "idempotency_key"),
        ({"version": -1}, "version"),
    ],
)
def test_options_out_of_bounds_are_refused_by_name(worker, options, field):
    error = refused(worker.client.execute, "qa", ASKED, **options)
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, field)
    assert list(worker.client.list_executions()) == []


def test_a_version_that_is_not_there_is_not_found(worker):
    error = refused(worker.client.execute, "qa", ASKED, version=7)
    assert (error.reason, error.field) == (Reason.NOT_FOUND, "version")
    assert worker.client.execute("qa", ASKED, version=1).program_version == 1


# ---- adapters


def test_the_worker_tells_its_adapters_and_those_that_come_later(worker):
    told = {each.name: each for each in worker.client.adapters()}
    assert list(told) == ["inline", "mock", "pool", "ray"]
    assert told["inline"].available
    assert told["pool"].aliases == ("python_port",)
    assert (told["pool"].available, told["ray"].available) == (False, False)
    assert told["ray"].why_not.startswith("comes later")


def test_an_adapter_that_is_not_there_alone_is_refused_with_the_reason(worker):
    error = refused(worker.client.execute, "qa", ASKED, adapters=["ray", "pool"])
    assert (error.reason, error.field) == (Reason.CONFIGURATION, "adapters")
    assert "ray: comes later" in str(error)


def test_an_adapter_nobody_knows_is_refused_with_the_nearest(worker):
    error = refused(worker.client.execute, "qa", ASKED, adapters=["inlined"])
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "adapters")
    assert "Did you mean 'inline'?" in str(error)


def test_the_workers_own_order_decides_where_none_is_asked_for(start_worker):
    worker = with_program(start_worker(SKY, adapters=("mock", "inline")))
    assert worker.client.execute("qa", ASKED).adapter_used == "mock"
    assert [each.name for each in worker.client.adapters()][:2] == ["mock", "inline"]


# ---- the same key


def test_a_second_run_with_a_key_gets_the_first_ones_execution(worker):
    first = worker.client.execute("qa", ASKED, idempotency_key="k")
    assert worker.client.execute("qa", ASKED, idempotency_key="k") == first
    assert len(worker.lms.engine.prompts) == 1
    assert worker.client.execute("qa", ASKED, idempotency_key="l").id != first.id


def test_a_second_run_with_the_key_of_one_that_failed_fails_alike(worker):
    in_turn(worker, AuthError("no such key", status=401), SKY["sky"])
    errors = [refused(worker.client.execute, "qa", ASKED, idempotency_key="k") for _ in range(2)]
    assert errors[0].execution_id == errors[1].execution_id
    assert errors[0].reason is errors[1].reason is Reason.PROVIDER_REFUSAL
    assert len(worker.lms.engine.prompts) == 1


def test_a_key_is_of_its_session(worker):
    for name in ("ada", "bob"):
        worker.client.session(name)
    ids = {worker.client.execute("qa", ASKED, idempotency_key="k", session=name).id for name in ("", "ada", "bob")}
    assert len(ids) == 3


def test_a_key_for_something_else_already_exists(worker):
    worker.client.execute("qa", ASKED, idempotency_key="k")
    worker.client.create_program("other", signature="qa")
    for program, inputs, what in (("qa", {"question": "sky?"}, "other inputs"), ("other", ASKED, "another program")):
        error = refused(worker.client.execute, program, inputs, idempotency_key="k")
        assert (error.reason, error.field) == (Reason.ALREADY_EXISTS, "idempotency_key")
        assert f"already, with {what}:" in str(error)


@pytest.mark.parametrize("count", [1, 2], ids=["one worker", "two workers"])
def test_of_many_at_once_with_one_key_one_is_run_and_all_get_it(database, start_worker, count):
    begun, release = Event(), Event()

    def hold():
        begun.set()
        release.wait(60)

    workers = [start_worker(SKY, database=database, on_call=hold) for _ in range(count)]
    with_program(workers[0])
    with ThreadPoolExecutor(6) as pool:
        asking = [
            pool.submit(workers[number % count].client.execute, "qa", ASKED, idempotency_key="k") for number in range(6)
        ]
        assert begun.wait(60)
        release.set()
        found = [each.result(timeout=60) for each in asking]
    assert len({execution.id for execution in found}) == 1
    assert {execution.outputs["answer"] for execution in found} == {"blue"}
    assert sum(len(worker.lms.engine.prompts) for worker in workers) == 1
    assert AuditLog(database).verify() == (2 + 7, [])


def test_who_waits_for_the_first_run_waits_no_longer_than_its_own_deadline(start_worker):
    begun, release = Event(), Event()

    def hold():
        begun.set()
        release.wait(60)

    worker = with_program(start_worker(SKY, on_call=hold))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(worker.client.execute, "qa", ASKED, idempotency_key="k")
        assert begun.wait(60)
        error = refused(worker.client.execute, "qa", ASKED, idempotency_key="k", timeout=LONG_ENOUGH)
        release.set()
        assert error.execution_id == first.result().id
    assert (error.reason, error.retryable) == (Reason.TIMEOUT, True)


# ---- the list


def test_executions_are_listed_by_what_is_asked_the_newest_first(database, start_worker):
    worker = with_program(start_worker(SKY, database=database))
    worker.client.create_program("other", signature="qa")
    worker.client.session("ada")
    one = worker.client.execute("qa", ASKED)
    two = worker.client.execute("other", ASKED, session="ada")
    refused(worker.client.execute, "qa", {"question": 3})

    def ids(**query):
        return [each.id for each in worker.client.list_executions(**query)]

    everything = ids()
    assert everything[1:] == [two.id, one.id]
    assert ids(program="other") == ids(session="ada") == ids(program=two.program_id) == [two.id]
    assert ids(statuses=[ExecutionStatus.FAILED]) == everything[:1]
    assert ids(statuses=[ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED]) == everything
    assert ids(since=two.started_at) == everything[:2]
    assert ids(until=two.started_at) == [one.id]
    assert [each.stages for each in worker.client.list_executions()] == [(), (), ()]


def test_pages_stay_as_they_were_while_others_are_added(database, start_worker, monkeypatch):
    worker = with_program(start_worker(SKY, database=database))
    before = [worker.client.execute("qa", ASKED).id for _ in range(5)]
    monkeypatch.setattr("python_worker.client.calls.PAGE", 2)
    pages = worker.client.list_executions()
    told = [next(pages).id]
    worker.client.execute("qa", ASKED)
    assert told + [each.id for each in pages] == before[::-1]


def test_a_token_of_no_page_is_refused(worker):
    error = refused(worker.client.run, list_executions()("x"))
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "page_token")


# ---- cancelling


def held(start_worker, **settings):
    begun, release = Event(), Event()

    def hold():
        begun.set()
        release.wait(60)

    return with_program(start_worker(SKY, on_call=hold, **settings)), begun, release


def test_an_execution_is_cancelled_from_another_connection(start_worker):
    worker, begun, release = held(start_worker)
    with ThreadPoolExecutor(1) as pool, connect(worker.target) as other:
        running = pool.submit(refused, worker.client.execute, "qa", ASKED)
        assert begun.wait(60)
        (listed,) = other.list_executions(statuses=[ExecutionStatus.RUNNING])
        ended = other.cancel(listed.id)
        release.set()
        error = running.result()
    assert ended.status is ExecutionStatus.CANCELLED
    assert (error.reason, error.execution_id) == (Reason.CANCELLED, listed.id)
    assert ended.stages == worker.client.get_execution(listed.id).stages


def test_an_execution_that_can_spend_nothing_is_found_and_cancelled_too(start_worker):
    worker, begun, release = held(start_worker)
    worker.lms.live = False
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(list, _hearing(worker))
        assert begun.wait(60)
        wait_until(lambda: _STARTED)
        assert worker.client.get_execution(_STARTED[0]).status is ExecutionStatus.RUNNING
        assert worker.client.cancel(_STARTED[0]).status is ExecutionStatus.CANCELLED
        release.set()
        assert isinstance(running.exception(), Exception)


_STARTED = []


def _hearing(worker):
    _STARTED.clear()
    for event in worker.client.stream("qa", ASKED):
        _STARTED.append(getattr(event, "execution_id", ""))
        yield event


def test_cancelling_what_has_ended_leaves_it_as_it_is(worker):
    execution = worker.client.execute("qa", ASKED)
    assert worker.client.cancel(execution.id) == execution
    assert refused(worker.client.cancel, "exec_none").reason is Reason.NOT_FOUND


def test_an_execution_is_cancelled_through_another_worker_on_the_database(database, start_worker):
    worker, begun, release = held(start_worker, database=database)
    other = start_worker(database=database)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(refused, worker.client.execute, "qa", ASKED)
        assert begun.wait(60)
        (listed,) = other.client.list_executions()
        assert other.client.cancel(listed.id).status is ExecutionStatus.CANCELLED
        release.set()
        assert running.result().reason is Reason.CANCELLED

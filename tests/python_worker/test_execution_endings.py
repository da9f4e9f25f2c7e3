"""How executions end badly: each way told apart, whatever the provider, the database or the machine does."""

import contextlib
import functools
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event

import dspy
import pytest
import sqlalchemy as sa
from dspy.utils.callback import BaseCallback

import lmtest
from lmtest.testing.provider import (
    ScriptedProvider,
    fields,
    page,
    rate_limited,
    server_error,
    timeout,
    unfinished,
)
from python_worker.client import Order, Reason, SessionLimits, SessionLM, connect
from python_worker.domain.access import Grant, Tokens
from python_worker.domain.execution import ExecutionStatus
from python_worker.domain.program import Module, Program, ProgramConfig
from python_worker.domain.stage import Stage
from python_worker.runtime import Imports, InlineAdapter, LmtestLMs, Modules
from python_worker.runtime.adapter import Task
from python_worker.signatures import parse
from python_worker.store import AuditLog, Database, SqlExecutions, presence_on
from python_worker.v1 import worker_pb2 as pb

from .calling import LONG_ENOUGH, QA, SKY, digest, refused, status, wait_until, with_program
from .scripted import ScriptedLMs
from .test_command_line import Served

ASKED = {"question": "sky"}
GOOD = fields(answer="blue", confidence=0.9)


def execute(worker, **request):
    message = pb.ExecuteRequest(program="qa", inputs={"question": pb.Value(string="sky")}, **request)
    code, detail = status(worker, "Execute", message)
    return code.name, detail


def through_litellm(monkeypatch):
    """Let DSPy's own way to a provider be LiteLLM, as it is for those that lm15 does not know."""
    monkeypatch.setattr(dspy.LM, "__init__", functools.partialmethod(dspy.LM.__init__, engine="litellm"))


# ---- each told apart

ENDINGS = {
    "a failure of the provider": (
        [server_error(503)],
        ("UNAVAILABLE", "provider_failure", True, pb.STAGE_ADAPTER_EXECUTION),
    ),
    "a rate limit": ([rate_limited()], ("UNAVAILABLE", "provider_failure", True, pb.STAGE_ADAPTER_EXECUTION)),
    "a refused key": (
        [server_error(401)],
        ("FAILED_PRECONDITION", "provider_refusal", False, pb.STAGE_ADAPTER_EXECUTION),
    ),
    "an answer that does not parse": (
        ["I would rather not say."],
        ("INTERNAL", "unparsable_answer", False, pb.STAGE_OUTPUT_VALIDATION),
    ),
    "an answer out of bounds": (
        [fields(answer="blue", confidence=1.5)],
        ("INTERNAL", "constraint_violation", False, pb.STAGE_OUTPUT_VALIDATION),
    ),
    "silence": ([timeout()], ("DEADLINE_EXCEEDED", "timeout", True, pb.STAGE_ADAPTER_EXECUTION)),
}


@pytest.mark.parametrize("script", ENDINGS)
def test_each_ending_has_its_status_reason_and_stage(live, script):
    said, expected = ENDINGS[script]
    worker = live(*said)
    options = {"timeout": {"nanos": 500_000_000}} if script == "silence" else {}
    code, detail = execute(worker, **options)
    assert (code, detail.reason, detail.retryable, detail.stage) == expected
    kept = worker.client.get_execution(detail.execution_id)
    assert (kept.error.reason.value, kept.error.stage.name) == (detail.reason, pb.Stage.Name(detail.stage)[6:])
    assert kept.stages[-1].stage is kept.error.stage


@pytest.mark.parametrize("litellm", [False, True], ids=["lm15", "litellm"])
@pytest.mark.parametrize(
    "fault",
    [page(), page(""), page("[]"), unfinished(GOOD)],
    ids=["a page", "nothing", "JSON that is no answer", "half an answer"],
)
def test_what_is_no_answer_is_a_failure_of_the_provider_and_asked_for_again(live, monkeypatch, fault, litellm):
    worker = live(fault, GOOD)
    if litellm:
        through_litellm(monkeypatch)
    code, detail = execute(worker)
    assert (code, detail.reason, detail.retryable) == ("UNAVAILABLE", "provider_failure", True)


@pytest.mark.parametrize(
    "fault",
    [page(), page(""), page("data: {oops\r\n\r\n"), page("data: []\r\n\r\n"), unfinished(GOOD, after=2)],
    ids=["a page", "nothing", "half an event", "an event that is none", "no finish"],
)
def test_a_stream_without_its_finish_is_a_failure_of_the_provider_and_asked_for_again(live, fault):
    worker = live(fault, GOOD)
    error = refused(lambda: list(worker.client.stream("qa", ASKED)))
    assert (error.reason, error.retryable) == (Reason.PROVIDER_FAILURE, True)
    *_, execution = worker.client.stream("qa", ASKED)
    assert execution.outputs["answer"] == "blue"


def test_an_invalid_input_never_reaches_the_provider(live):
    worker = live(GOOD)
    error = refused(worker.client.execute, "qa", {"question": 3})
    assert (error.reason, error.stage, error.retryable) == (Reason.VALIDATION_ERROR, Stage.INPUT_VALIDATION, False)
    assert worker.provider.requests == []


def test_an_answer_that_breaks_its_constraint_is_kept(live):
    worker = live(fields(answer="blue", confidence=1.5))
    error = refused(worker.client.execute, "qa", ASKED)
    assert "1.5" in worker.client.get_execution(error.execution_id).raw_answer


def test_a_miss_is_told_from_a_cassette_that_is_not_there(live, tmp_path):
    recorder = live(GOOD, mode=lmtest.Mode.RECORD)
    recorder.client.execute("qa", ASKED)
    player = live(mode=lmtest.Mode.REPLAY)
    assert player.client.execute("qa", ASKED).stages[2].calls[0].hit == "cassette"
    error = refused(player.client.execute, "qa", {"question": "sea"})
    assert (error.reason, error.stage, error.retryable) == (
        Reason.CASSETTE_NOT_FOUND,
        Stage.ADAPTER_EXECUTION,
        False,
    )
    player.client.create_program("hot", signature="qa", temperature=1.5)
    (tmp_path / "cassettes" / "hot").symlink_to(tmp_path / "cassettes" / "qa")
    error = refused(player.client.execute, "hot", ASKED)
    assert (error.reason, error.stage, error.retryable) == (Reason.CASSETTE_MISS, Stage.ADAPTER_EXECUTION, False)


def test_a_budget_that_is_spent_is_told_before_anything_is_sent(live):
    worker = live(GOOD)
    worker.client.session("ada", lm=SessionLM(limits=SessionLimits(usd_per_run="0.00000001")))
    error = refused(worker.client.execute, "qa", ASKED, session="ada")
    assert (error.reason, error.stage, error.retryable) == (Reason.BUDGET_EXCEEDED, Stage.ADAPTER_EXECUTION, False)
    assert worker.provider.requests == []


# ---- deadlines


def test_a_provider_that_never_answers_gives_its_thread_back_at_the_deadline(live):
    worker = live(timeout(), timeout(), GOOD, threads=1)
    for number in (1, 2):
        error = refused(worker.client.execute, "qa", ASKED, timeout=LONG_ENOUGH)
        assert (error.reason, error.stage) == (Reason.TIMEOUT, Stage.ADAPTER_EXECUTION)
        wait_until(lambda number=number: len(worker.provider.requests) == number)
    # The only thread is free: a hanging call would leave this one in the queue.
    assert worker.client.execute("qa", ASKED).outputs["answer"] == "blue"
    assert worker.stop()


def test_a_run_that_is_cancelled_gives_its_thread_back(live):
    worker = live(timeout(), GOOD, threads=1)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(refused, worker.client.execute, "qa", ASKED)
        wait_until(lambda: worker.provider.requests)
        (listed,) = worker.client.list_executions()
        assert worker.client.cancel(listed.id).status is ExecutionStatus.CANCELLED
        assert running.result().reason is Reason.CANCELLED
    assert worker.client.execute("qa", ASKED).outputs["answer"] == "blue"


def test_a_run_that_timed_out_lists_the_calls_it_made(live):
    worker = live(timeout())
    error = refused(worker.client.execute, "qa", ASKED, timeout=LONG_ENOUGH)
    (call,) = worker.client.get_execution(error.execution_id).stages[2].calls
    assert (call.hit, call.model, call.cost) == ("live", "gemini/gemini-2.5-flash", None)


def test_a_failing_provider_is_asked_again_by_the_executor_alone(live):
    worker = live(server_error(503), rate_limited(retry_after=0), GOOD)
    assert worker.client.execute("qa", ASKED, retries=2).attempts == 3
    assert len(worker.provider.requests) == 3


def test_made_up_answers_cost_nothing_on_a_live_worker(live):
    worker = live(GOOD)
    execution = worker.client.execute("qa", ASKED, adapters=["mock"])
    assert (execution.adapter_used, execution.stages[2].calls[0].hit) == ("mock", "mock")
    assert worker.provider.requests == []


# ---- workers that share a database


@pytest.fixture
def serve(database_url, tmp_path):
    """Start workers in processes of their own on one database, whose provider never answers."""
    with ScriptedProvider([timeout()], repeat_last=True) as provider, contextlib.ExitStack() as ended:
        options = ["--lm-mode", "live", "--api-base", f"{provider.url}/v1beta", "--database-url", database_url]

        def start():
            started = Served(tmp_path, *options, GEMINI_API_KEY="any-key", LMTEST_LEDGER="off")
            ended.callback(started.kill)
            started.provider = provider
            return started

        yield start


def test_an_execution_is_cancelled_through_another_process_on_the_database(serve):
    first, second = with_program(serve()), serve()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(refused, first.client.execute, "qa", ASKED)
        wait_until(lambda: first.provider.requests)
        (listed,) = second.client.list_executions()
        assert second.client.cancel(listed.id).status is ExecutionStatus.CANCELLED
        error = running.result()
    assert (error.reason, error.execution_id) == (Reason.CANCELLED, listed.id)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_killed_worker_on_one_sqlite_hears_nothing_and_that_is_told(serve, tmp_path):
    first, second = with_program(serve()), serve()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(refused, first.client.execute, "qa", ASKED)
        wait_until(lambda: first.provider.requests)
        first.process.kill()
        assert running.result().reason is Reason.UNAVAILABLE
    first.process.wait()
    (listed,) = second.client.list_executions()
    error = refused(second.client.cancel, listed.id)
    assert (error.reason, error.execution_id) == (Reason.UNAVAILABLE, listed.id)
    assert "which does not hear: it was killed" in str(error)
    assert len(list(tmp_path.glob("*.pipe"))) == 2
    assert second.stop()[0] == 0
    assert serve().client.cancel(listed.id).error.reason is Reason.INTERRUPTED
    assert len(list(tmp_path.glob("*.pipe"))) == 1


def test_where_no_pipe_can_be_made_a_worker_starts_and_hears_nothing(tmp_path, caplog):
    database = Database.in_directory(tmp_path)
    database.migrate()
    first, second = (presence_on(database, SqlExecutions(database, owner=name)) for name in ("worker_1", "worker_2"))
    first.start(lambda _: True)
    (tmp_path / "worker.sqlite3.worker_2.pipe").mkdir()
    second.start(lambda _: True)
    assert "cannot cancel what runs here: [Errno 17] File exists" in caplog.text
    assert not first.ask_to_cancel("exec_none")
    for presence in (first, second):
        presence.close()
    database.close()


def test_what_a_killed_worker_left_running_is_told_as_interrupted(serve, database_url):
    first = with_program(serve())
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(refused, first.client.execute, "qa", ASKED, idempotency_key="k")
        wait_until(lambda: first.provider.requests)
        second = serve()  # beside a living worker: it leaves that one's runs alone
        (listed,) = second.client.list_executions()
        assert listed.status is ExecutionStatus.RUNNING
        first.process.kill()
        assert running.result().reason is Reason.UNAVAILABLE
    first.process.wait()
    if database_url.startswith("sqlite"):  # there, only who starts alone knows that nobody else is
        second.kill()
    again = serve().client
    (kept,) = again.list_executions()
    assert (kept.status, kept.error.reason) == (ExecutionStatus.FAILED, Reason.INTERRUPTED)
    assert kept.error.retryable
    assert [record.stage for record in again.get_execution(kept.id).stages] == list(Stage)[:2]
    assert refused(again.execute, "qa", ASKED, idempotency_key="k").execution_id == kept.id
    database = Database(database_url)
    assert AuditLog(database).verify() == (2 + 4, [])
    database.close()


# ---- the database


def test_a_database_that_is_lost_while_serving_is_unavailable_with_a_reason(start_worker):
    worker = with_program(start_worker(SKY))
    with worker.database.write() as connection:
        connection.execute(sa.text("ALTER TABLE executions RENAME TO gone"))
    error = refused(worker.client.execute, "qa", ASKED)
    assert (error.reason, error.retryable) == (Reason.UNAVAILABLE, True)
    assert "does not answer: no such table: executions" in str(error)


def test_a_worker_goes_on_when_postgresql_has_ended_its_connections(postgres_database, start_worker):
    worker = with_program(start_worker(SKY, database=postgres_database))
    worker.client.execute("qa", ASKED)
    with postgres_database.read() as connection:
        pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
    with postgres_database.listening_connection() as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,)).fetchone() == (True,)
    assert worker.client.execute("qa", ASKED).status is ExecutionStatus.SUCCEEDED


# ---- who asked


@pytest.fixture
def guarded(start_worker):
    tokens = {"root-token": Grant(name="root"), "ada-token": Grant(name="ada", sessions=("ada*",))}
    worker = start_worker(SKY, tokens=Tokens({digest(token): grant for token, grant in tokens.items()}))
    clients = {token: connect(worker.target, token=token) for token in tokens}
    root, ada = clients["root-token"], clients["ada-token"]
    root.create_signature("signature qa: :string question -> :string answer, :confidence_score confidence")
    root.create_program("qa", signature="qa")
    for name in ("ada", "bob"):
        root.session(name)
    yield root, ada, worker
    for each in clients.values():
        each.close()


def test_an_execution_tells_who_asked_for_it(guarded):
    root, ada, worker = guarded
    assert root.execute("qa", ASKED, session="bob").asked_by == "root"
    execution = ada.execute("qa", ASKED, session="ada")
    assert execution.asked_by == ada.get_execution(execution.id).asked_by == "ada"
    assert [event.execution_id for event in ada.stream("qa", ASKED, session="ada") if hasattr(event, "execution_id")]
    with worker.database.read() as connection:
        told = connection.scalars(
            sa.text("SELECT payload FROM audit_events WHERE kind = 'execution_started' ORDER BY sequence")
        ).all()
    assert ['"asked_by":"root"' in told[0], '"asked_by":"ada"' in told[1]] == [True, True]


def test_a_token_for_one_session_does_not_open_the_executions_of_another(guarded):
    root, ada, _ = guarded
    bobs, mine = root.execute("qa", ASKED, session="bob"), ada.execute("qa", ASKED, session="ada")
    refusals = [
        lambda: ada.get_execution(bobs.id),
        lambda: ada.cancel(bobs.id),
        lambda: list(ada.list_executions(session="bob")),
        lambda: list(ada.list_executions()),
        lambda: ada.execute("qa", ASKED),
        lambda: list(ada.stream("qa", ASKED, session="bob")),
        lambda: list(ada.batch([Order("qa", ASKED, session=name) for name in ("ada", "bob")])),
    ]
    assert {refused(call).reason for call in refusals} == {Reason.PERMISSION_DENIED}
    assert [each.id for each in ada.list_executions(session="ada")] == [mine.id]
    assert ada.cancel(mine.id) == mine
    assert ada.adapters()[0].name == "inline"


# ---- runs that can spend nothing run where they are wanted


def test_a_free_run_that_outlasts_its_deadline_has_timed_out_and_is_kept(start_worker):
    worker = with_program(start_worker(SKY, on_call=lambda: Event().wait(LONG_ENOUGH + 0.5)))
    worker.lms.live = False
    error = refused(worker.client.execute, "qa", ASKED, timeout=LONG_ENOUGH)
    assert (error.reason, error.stage) == (Reason.TIMEOUT, Stage.ADAPTER_EXECUTION)
    kept = worker.client.get_execution(error.execution_id)
    assert (kept.status, kept.outputs, len(kept.stages[2].calls)) == (ExecutionStatus.TIMED_OUT, {}, 1)


class AtTheEndOfACall(BaseCallback):
    """Does something when a model has answered, and before the program goes on."""

    def __init__(self, do):
        self._do = do

    def on_lm_end(self, call_id, outputs, exception=None):  # noqa: ARG002 - DSPy's signature
        self._do()


def test_a_replay_whose_deadline_passes_is_stopped_at_its_next_model_call(live):
    in_two_steps = {"signature": "qa", "format": "two_step"}
    recorder = live("It is blue, I am sure.", GOOD, mode=lmtest.Mode.RECORD)
    recorder.client.create_program("steps", **in_two_steps)
    assert len(recorder.client.execute("steps", ASKED).stages[2].calls) == 2

    player = live(mode=lmtest.Mode.REPLAY)
    made = player.client.create_program("steps", **in_two_steps)
    slow = AtTheEndOfACall(lambda: Event().wait(LONG_ENOUGH + 0.5))
    player.lms.lm(made.config, SessionLM()).callbacks.append(slow)
    error = refused(player.client.execute, "steps", ASKED, timeout=LONG_ENOUGH)
    assert (error.reason, error.stage) == (Reason.TIMEOUT, Stage.ADAPTER_EXECUTION)
    kept = player.client.get_execution(error.execution_id)
    assert (kept.status, kept.outputs) == (ExecutionStatus.TIMED_OUT, {})
    assert [call.hit for call in kept.stages[2].calls] == ["cassette"]


def free_task(**config):
    made = Program(
        id="prog_1",
        name="qa",
        signature_id="sig_1",
        module=Module.PREDICT,
        config=ProgramConfig(**config),
        created_at=datetime.now(UTC),
    )
    return Task(program=made, signature=parse(QA), inputs=ASKED, execution_id="exec_1")


def test_a_free_run_that_is_cancelled_is_stopped_at_its_next_model_call(tmp_path, monkeypatch):
    monkeypatch.setenv("LMTEST_LEDGER", "off")
    lms = LmtestLMs(mode=lmtest.Mode.MOCK, cassette_dir=tmp_path, model="gemini/gemini-2.5-flash")
    task, cancelled = free_task(format="two_step"), Future()
    lms.lm(task.program.config, task.lm).callbacks.append(AtTheEndOfACall(lambda: cancelled.set_result(None)))
    adapter = InlineAdapter(lms, modules=Modules(Imports()), threads=1)
    outcome = adapter.run(task, deadline=time.monotonic() + 60, cancelled=cancelled)
    assert (outcome.error.reason, len(outcome.calls)) == (Reason.CANCELLED, 1)
    assert "after it began" in str(outcome.error)


@pytest.mark.parametrize(("left", "reason"), [(0.0, Reason.TIMEOUT), (60.0, Reason.CANCELLED)])
def test_a_free_run_that_nobody_waits_for_any_more_never_begins(left, reason):
    lms, cancelled = ScriptedLMs(SKY, live=False), Future()
    if reason is Reason.CANCELLED:
        cancelled.set_result(None)
    adapter = InlineAdapter(lms, modules=Modules(Imports()), threads=1)
    outcome = adapter.run(free_task(), deadline=time.monotonic() + left, cancelled=cancelled)
    assert outcome.error.reason is reason
    assert "in the queue" in str(outcome.error)
    assert lms.executions == []


def test_a_free_run_waits_for_its_turn_no_longer_than_its_deadline(start_worker):
    begun, release = Event(), Event()

    def hold():
        begun.set()
        release.wait(60)

    worker = with_program(start_worker(SKY, on_call=hold, threads=1))
    worker.lms.live = False
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(worker.client.execute, "qa", ASKED)
        assert begun.wait(60)
        error = refused(worker.client.execute, "qa", ASKED, timeout=LONG_ENOUGH)
        release.set()
        assert first.result().status is ExecutionStatus.SUCCEEDED
    assert error.reason is Reason.TIMEOUT
    assert "in the queue" in str(error)


def test_a_free_run_is_on_record_once_it_has_ended_in_one_unbroken_chain(database, start_worker):
    worker = with_program(start_worker(SKY, database=database))
    worker.lms.live = False
    good = worker.client.execute("qa", ASKED)
    bad = refused(worker.client.execute, "qa", {"question": 3})
    assert worker.client.get_execution(good.id) == good
    assert worker.client.get_execution(bad.execution_id).status is ExecutionStatus.FAILED
    assert AuditLog(database).verify() == (2 + 7 + 4, [])

"""What ``resource_management`` sees of programs that run and wait, each held open meanwhile."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from python_worker.client import Reason
from python_worker.domain.action import Action
from python_worker.domain.execution import ExecutionStatus

from ..calling import SKY, refused, wait_until, with_program  # noqa: TID252 - tests are no installed package
from ..held import Held  # noqa: TID252 - likewise

ASKED = {"question": "sky"}


@pytest.fixture(params=[True, False], ids=["in a thread of its own", "where it is wanted"])
def held(request, start_worker):
    """A worker with a single thread that a program holds, whether it may cost money or not, and what holds it."""
    held = Held()
    worker = with_program(start_worker(SKY, on_call=held, threads=1))
    worker.lms.live = request.param
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(worker.client.execute, "qa", ASKED)
        held.begun.wait()
        yield worker, pool
        held.let_go()
        assert first.result().status is ExecutionStatus.SUCCEEDED
    wait_until(lambda: told(worker.client.execute("qa", ASKED, actions=[Action(name="resource_management")])) == (0, 0))


def told(execution):
    """How many threads were busy before it, and how many programs waited."""
    values = execution.action_results[0].values
    return values["busy_threads"], values["waiting"]


def refusal(worker, **bounds):
    """The message of a run that is refused, and what was told."""
    error = refused(worker.client.execute, "qa", ASKED, actions=[Action(name="resource_management", options=bounds)])
    assert error.reason is Reason.ACTION_REFUSED
    return error.message, told(worker.client.get_execution(error.execution_id))


def test_a_program_that_runs_is_a_busy_thread(held):
    worker, _ = held
    message, seen = refusal(worker, max_busy_threads=0)
    assert "busy_threads is 1, beyond max_busy_threads of 0. Try again later." in message
    assert seen == (1, 0)
    assert len(worker.lms.engine.prompts) == 1


def test_a_program_that_waits_for_its_turn_is_told_as_waiting(held):
    worker, pool = held
    pool.submit(worker.client.execute, "qa", ASKED)
    wait_until(lambda: refusal(worker, max_busy_threads=0)[1] == (1, 1))
    message, seen = refusal(worker, max_waiting=0)
    assert "waiting is 1, beyond max_waiting of 0. Try again later." in message
    assert seen == (1, 1)
    assert len(worker.lms.engine.prompts) == 1

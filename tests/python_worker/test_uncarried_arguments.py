"""Arguments that no message can carry: refused by the client, as its own error and by their names."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_worker.client import Order, Reason, WorkerError, calls, connect, executions, programs
from python_worker.client.arguments import deadline_of
from python_worker.client.tool_functions import served
from python_worker.client.watching import Request
from python_worker.domain.value import excerpt

from .calling import refused

NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), 10**5000, 1e20, 2**31, 2**63, 2**64])
TEXTS = st.text(st.characters(codec=None))


def nested(depth):
    """A list in a list, so deep."""
    value = []
    for _ in range(depth):
        value = [value]
    return value


def tool(city: str) -> str:
    return city


TAKES_A_NUMBER = {
    "timeout": lambda number: Order("qa", {}, timeout=number).request(),
    "retries": lambda number: Order("qa", {}, retries=number).request(),
    "version": lambda number: Order("qa", {}, version=number).request(),
    "parallel": lambda number: executions.batch_request([], number),
    "expected_version": lambda number: calls.set_("s", "x", 1, expected_version=number),
    "ttl": lambda number: calls.create_session("s", ttl=number, metadata=None, lm=None, or_get=True),
    "temperature": lambda number: programs.create_program("qa", temperature=number),
    "max_tokens": lambda number: programs.create_program("qa", max_tokens=number),
    "after": lambda number: Request("s", (), include_initial=False, after=number).message(),
    "tools.timeout": lambda number: served([tool], timeout=number),
    "deadline": deadline_of,
}


@pytest.mark.parametrize("field", TAKES_A_NUMBER)
@given(number=NUMBERS)
def test_a_number_is_carried_or_refused_by_its_name(field, number):
    # protobuf's own refusal of a float for an integer is Python's, as for any function.
    with contextlib.suppress(TypeError):
        try:
            TAKES_A_NUMBER[field](number)
        except WorkerError as error:
            assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, field)  # noqa: PT017 - it may be carried


@given(text=TEXTS)
def test_a_name_is_carried_or_refused(text):
    try:
        Order(text, {}).request().SerializeToString()
    except WorkerError as error:
        assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "program")  # noqa: PT017 - as above


@pytest.mark.parametrize("deadline", [1e20, 10**400, math.nan, math.inf, 0, -1])
def test_a_deadline_that_grpc_cannot_carry_is_refused_before_any_call(deadline):
    error = refused(connect, "127.0.0.1:1", deadline=deadline)
    assert (error.reason, error.field) == (Reason.INVALID_ARGUMENT, "deadline")


@pytest.mark.parametrize("depth", [31, 500, 5_000])
def test_what_is_nested_too_deep_is_refused_by_its_place(depth):
    error = refused(Order("qa", {"data": nested(depth)}).request)
    assert error.reason is Reason.UNSERIALIZABLE
    assert error.field.startswith("data[0][0]")
    assert len(error.message) < 1_000


@pytest.mark.parametrize("value", [10**5000, nested(5_000), [10**5000]], ids=["digits", "levels", "both"])
def test_whatever_a_value_is_its_excerpt_is_short(value):
    assert "too long or too deep to be shown" in excerpt(value)

"""Tools by import path: on the worker's allow-list, recorded, their errors told without a traceback."""

import json

import pytest

from python_worker.client import Reason
from python_worker.domain.stage import Stage

from ..calling import refused  # noqa: TID252 - tests are no installed package
from .conftest import script, step

MODULE = '''
import dspy

def population(city: str) -> int:
    """How many live there."""
    if city == "Atlantis":
        raise LookupError("it sank")
    return 2_000_000

async def later(city: str) -> str:
    return city

def broken(city: str):
    return {1, 2}

number = 3
tool = dspy.Tool(lambda city: city.upper(), name="shout", desc="Shout it.", args={"city": {"type": "string"}})
'''


@pytest.fixture
def geography(tool_module):
    return tool_module("geography_of_the_test", MODULE)


def uses(execution):
    [record] = [record for record in execution.stages if record.stage is Stage.ADAPTER_EXECUTION]
    return [(use.tool, use.hit, use.error) for use in record.tools]


def test_a_python_tool_is_called_recorded_and_replayed(start, geography):
    steps = script(step("population", city="Rome"), step("population", city="Atlantis"), step("shout", city="Rome"))
    recorder = start("record", steps, allow_imports=(f"{geography}:*",))
    recorder.agent(f"{geography}:population", f"{geography}:tool")
    recorded = recorder.ask()
    told = [json.dumps(request) for request in recorder.provider.requests]
    assert "How many live there." in told[0]
    assert "2000000" in told[1]
    assert "Execution error in population: LookupError: it sank" in told[2]
    assert "Traceback" not in told[2]
    assert "ROME" in told[3]
    recorder.provider.close()
    start.stop(recorder)

    played = start("replay", allow_imports=(f"{geography}:*",)).ask()
    assert played.outputs == recorded.outputs
    assert uses(recorded) == [
        ("population", "python", ""),
        ("population", "python", "LookupError: it sank"),
        ("shout", "python", ""),
    ]
    assert [hit for _, hit, _ in uses(played)] == ["cassette"] * 3


def test_a_path_that_is_no_longer_allowed_is_refused_before_any_model_is_asked(start, geography):
    worker = start("record", script(), allow_imports=(f"{geography}:*",))
    worker.agent(f"{geography}:population")
    start.stop(worker)
    worker = start("record", script())
    error = refused(worker.ask)
    assert error.reason is Reason.PERMISSION_DENIED
    assert worker.provider.requests == []


@pytest.mark.parametrize(("name", "told"), [("number", "is of type int, and a tool is"), ("gone", "does not import")])
def test_what_is_no_tool_is_refused_by_name(start, geography, name, told):
    worker = start("mock", allow_imports=(f"{geography}:*",))
    worker.agent(f"{geography}:{name}")
    error = refused(worker.ask)
    assert error.reason is Reason.CONFIGURATION
    assert told in error.message


def test_two_tools_of_one_name_are_refused(start, geography):
    worker = start("mock", allow_imports=(f"{geography}:*",))
    worker.agent(f"{geography}:tool", "shout")
    with worker.client.serve_tools({"shout": lambda: 1}):
        error = refused(worker.ask)
    assert error.reason is Reason.CONFIGURATION
    assert "two tools of the program are called 'shout'" in error.message


def test_a_result_that_no_cassette_can_hold_fails_the_run_and_says_so(start, geography, tmp_path):
    worker = start("record", script(step("broken", city="Rome")), allow_imports=(f"{geography}:*",))
    worker.agent(f"{geography}:broken")
    error = refused(worker.ask)
    assert error.reason is Reason.CONFIGURATION
    assert "the tool 'broken' returned a set" in error.message
    assert list((tmp_path / "one" / "cassettes").glob("**/*.yaml")) == []

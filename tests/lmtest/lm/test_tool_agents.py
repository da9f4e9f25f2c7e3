"""What ``lmtest.tool`` promises to agents: a ReAct program is played whole, what its tools said among its prompts."""

import json
from pathlib import Path

import dspy
import pytest

import lmtest
from lmtest.testing import ScriptedProvider, fields

from .tooling import Unknown, never, weather


def step(tool, **arguments):
    return fields(next_thought="Go on.", next_tool_name=tool, next_tool_args=arguments)


def agent(function):
    return dspy.ReAct("question -> answer", tools=[function], max_iters=4)


def ask(function, mode, lm, **options):
    with dspy.context(lm=lm), lmtest.use_cassette("agent.yaml", mode=mode, **options) as cassette:
        return agent(function)(question="Where is it warm?"), cassette


SCRIPT = (step("weather", city="Atlantis"), step("weather", city="Rome"), step("finish"))
END = (fields(reasoning="Looked.", answer="Rome"),)


def climate(city, unit):
    if city == "Atlantis":
        raise Unknown(city, hint="it sank")
    return f"{city}: 30"


def test_an_agent_is_replayed_whole_its_tools_errors_among_its_prompts(unreachable_lm):
    with ScriptedProvider([*SCRIPT, *END]) as provider:
        recorded, _ = ask(weather(climate)[0], "record", provider.lm())
        assert "Unknown: Atlantis? it sank" in json.dumps(provider.requests[1])
    played, cassette = ask(weather(never)[0], "replay", unreachable_lm)
    assert played.toDict() == recorded.toDict()
    assert [call.tool or "model" for call in cassette.calls] == [
        "model",
        "weather",
        "model",
        "weather",
        "model",
        "model",
    ]


def test_a_traceback_in_a_prompt_may_be_scrubbed_so_that_another_machine_finds_it(unreachable_lm, project):
    with ScriptedProvider([*SCRIPT, *END]) as provider:
        ask(weather(climate)[0], "record", provider.lm(), scrub=("traceback",))
    text = Path("agent.yaml").read_text()
    assert "<traceback>" in text
    assert "react.py" not in text
    ask(weather(never)[0], "replay", unreachable_lm, scrub=("traceback",))


def test_an_agent_whose_tool_misses_is_told_of_the_tool_and_not_of_what_followed(unreachable_lm):
    with ScriptedProvider([*SCRIPT, *END]) as provider:
        ask(weather(climate)[0], "record", provider.lm())
    whole = Path("agent.yaml").read_text().split("---\n")
    Path("agent.yaml").write_text("---\n".join(part for part in whole if "city: Rome\nresult:" not in part))
    with pytest.raises(lmtest.CassetteMiss, match="this call of the tool 'weather' is not recorded"):
        ask(weather(never)[0], "replay", unreachable_lm)


def test_a_tools_miss_is_told_to_the_next_model_call_alone_because_tests_may_share_a_cassette(unreachable_lm):
    qa = dspy.Predict("question -> answer")
    with ScriptedProvider([fields(answer="Paris")]) as provider:
        with dspy.context(lm=provider.lm()), lmtest.use_cassette("agent.yaml", mode="record"):
            qa(question="France?")
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("agent.yaml", allow_misses=True):
        with pytest.raises(lmtest.CassetteMiss, match="call of the tool 'weather'"):
            weather(never)[0]("Paris")
        with pytest.raises(lmtest.CassetteMiss, match="call of the tool 'weather'"):
            qa(question="France?")
        assert qa(question="France?").answer == "Paris"


def test_in_mock_mode_an_agent_calls_no_tool(unreachable_lm):
    function, calls = weather(never)
    prediction, _ = ask(function, "mock", unreachable_lm)
    assert prediction.answer
    assert calls == []

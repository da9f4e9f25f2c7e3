"""An answer depends on the prompt alone, and does what the prompt asks."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from lmtest.lm.answers import Answer, Prompt, ToolSpec, write_answer

QUESTION = Prompt(turns=(("user", "How is the weather in Tokyo?"),))
WEATHER = ToolSpec(
    name="get_weather",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 2}},
        "required": ["city", "days"],
    },
)
WITH_TOOL = replace(QUESTION, tools=(WEATHER,))


def test_an_answer_quotes_the_question():
    assert '"How is the weather in Tokyo?"' in write_answer(QUESTION).text


def test_another_process_with_another_hash_seed_writes_the_same_answer():
    code = (
        "from lmtest.lm.answers import *;"
        "print(write_answer(Prompt(turns=(('user', 'How is the weather in Tokyo?'),), seed=3)))"
    )
    printed = {
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": n}, capture_output=True, check=True).stdout
        for n in "12"
    }
    assert printed == {f"{write_answer(replace(QUESTION, seed=3))}\n".encode()}


@pytest.mark.parametrize(
    "change",
    [
        {"system": "Be brief."},
        {"turns": (("user", "Why?"),)},
        {"seed": 1},
        {"json_mode": True},
        {"tools": (WEATHER,)},
        {"response_schema": {"type": "integer"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_in_the_prompt_changes_the_id(change):
    assert write_answer(replace(QUESTION, **change)).id != write_answer(QUESTION).id


def test_a_long_question_is_quoted_up_to_a_word():
    text = write_answer(Prompt(turns=(("user", "word " * 100),))).text
    assert 'word…"' in text
    assert len(text) < 200


def test_the_last_question_of_a_conversation_is_answered():
    turns = (("user", "Who?"), ("assistant", "Nobody."), ("user", "Why?"))
    assert '"Why?"' in write_answer(Prompt(turns=turns)).text


def test_a_prompt_without_words_is_answered_too():
    assert write_answer(Prompt(turns=(("user", ""),))).text.startswith("Mock answer: ")


def test_a_tool_is_called_with_arguments_of_its_schema():
    answer = write_answer(WITH_TOOL)
    (call,) = answer.tool_calls
    assert (call.name, call.arguments["city"], answer.text, answer.finish) == ("get_weather", "Tokyo", "", "tool_call")
    assert call.arguments["days"] in {1, 2}


def test_a_tools_result_is_followed_by_text():
    turns = (*QUESTION.turns, ("assistant", "get_weather({})"), ("tool", "sunny"))
    answer = write_answer(replace(WITH_TOOL, turns=turns))
    assert answer.text
    assert not answer.tool_calls


def test_where_a_call_is_required_a_result_does_not_end_it():
    turns = (*QUESTION.turns, ("tool", "sunny"))
    assert write_answer(replace(WITH_TOOL, turns=turns, tool_required=True)).tool_calls


def test_optional_arguments_are_left_to_their_defaults():
    tool = ToolSpec(name="f", parameters={"properties": {"a": {"type": "string"}}, "required": []})
    assert write_answer(replace(QUESTION, tools=(tool,))).tool_calls[0].arguments == {}


def test_a_response_schema_goes_before_everything_but_tools():
    schema = {"type": "object", "properties": {"n": {"const": 7}}}
    assert json.loads(write_answer(replace(QUESTION, response_schema=schema, json_mode=True)).text) == {"n": 7}


def test_json_mode_alone_is_an_object():
    assert json.loads(write_answer(replace(QUESTION, json_mode=True)).text).keys() == {"answer"}


def test_thinking_comes_only_when_asked_for():
    assert write_answer(QUESTION).thinking is None
    assert "Tokyo" in write_answer(replace(QUESTION, thinking=True)).thinking


def test_a_cut_answer_says_so_and_begins_like_the_whole():
    whole, cut = write_answer(QUESTION), write_answer(QUESTION, max_tokens=3)
    assert (cut.text, cut.finish, cut.tokens) == (whole.text[:12], "length", 3)


def test_an_answer_that_fits_is_not_cut():
    whole = write_answer(QUESTION)
    assert write_answer(QUESTION, max_tokens=whole.tokens) == whole


def test_pieces_add_up_to_the_text():
    text = "  [[ ## answer ## ]]\nOne two  three,\n\nfour five six seven.\n"
    pieces = Answer(id="mock-1", text=text).pieces
    assert "".join(pieces) == text
    assert len(pieces) > 2


def test_an_unreadable_field_format_is_named():
    system = (
        "Your output fields are:\n1. `n` (N):\n"
        "All interactions will be structured in the following way.\n\n"
        "[[ ## n ## ]]\n{n}        # note: the value you produce must adhere to the JSON schema: {oops\n"
    )
    with pytest.raises(ValueError, match="output fields in a format that does not read"):
        write_answer(replace(QUESTION, system=system))

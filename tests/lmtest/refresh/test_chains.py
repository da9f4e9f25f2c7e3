"""Which recorded requests hold an earlier answer: a table of pairs as programs make them, and what is said of each."""

import json
from typing import Literal

import dspy
import pytest

from lmtest.cassette.interaction import Interaction, Reply
from lmtest.refresh.chains import why_not

from .oracle import fields

QA, ON = "question -> answer", "question -> answer"
SENTENCE = "Paris is the capital and the largest city of France."
STORY = "The harbour froze in January. Nobody had seen that before. The boats stayed until the spring came back."
NOTE = 'He said "no" twice.\nThen he left — for good.'
LABELLED = dspy.Signature(
    "review -> sentiment", custom_types={"sentiment": Literal["positive", "negative", "neutral"]}
).with_updated_fields("sentiment", type_=Literal["positive", "negative", "neutral"])
SURE = "question -> answer, sure: bool"
COUNTED = "question -> n: int"
LISTED = "question -> items: list[str]"


def call(signature, inputs, said, adapter=None):
    signature = dspy.ensure_signature(signature)
    system, *turns = (adapter or dspy.ChatAdapter()).format(signature, [], inputs)
    return asked(system["content"], turns, fields(**said) if isinstance(said, dict) else said)


def asked(system, turns, said):
    messages = [{"role": turn["role"], "parts": [{"type": "text", "text": turn["content"]}]} for turn in turns]
    answer = {"role": "assistant", "parts": [{"type": "text", "text": said}]}
    return Interaction(
        key="0" * 64,
        request={"model": "gemini/gemini-2.5-flash", "system": system, "messages": messages},
        outcome=Reply(response={"message": answer, "finish_reason": "stop", "model": "m", "usage": {}}),
    )


def plain(text, said="It is."):
    return asked("", [{"role": "user", "content": text}], said)


def tool_call(question, arguments):
    part = {"type": "tool_call", "id": "call-1", "name": "look_up", "input": arguments}
    call = plain(question, "")
    call.outcome.response["message"]["parts"][:] = [part]
    return call


def qa(question, answer="Nothing to say here", **more):
    return call(QA, {"question": question} | more, {"answer": answer})


def past(question, turns):
    signature = dspy.Signature(
        {"question": (str, dspy.InputField()), "past": (dspy.History, dspy.InputField())}
        | {"answer": (str, dspy.OutputField())}
    )
    return call(signature, {"question": question, "past": dspy.History(messages=turns)}, {"answer": "Fine"})


def given(second, **inputs):
    return call(f"{', '.join(f'{name}: {kind}' for name, (kind, _) in second.items())} -> verdict",
                {name: value for name, (_, value) in second.items()} | inputs, {"verdict": "fine"})  # fmt: skip


CHAINED = {
    "the whole answer": (qa("Where?", SENTENCE), qa(f"Explain: {SENTENCE}")),
    "without its full stop": (qa("Where?", SENTENCE), qa(f"Is it true that {SENTENCE[:-1]}, as they say?")),
    "in lower case": (qa("Where?", SENTENCE), qa(SENTENCE.lower())),
    "its first sentence": (qa("Tell a story.", STORY), qa("Go on: The harbour froze in January, and then?")),
    "its last sentence": (qa("Tell a story.", STORY), qa("Go on: The boats stayed until the spring came back")),
    "its first hundred letters": (qa("Tell.", STORY.replace(".", ",")), qa(f"Sum up: {STORY.replace('.', ',')[:60]}…")),
    "escaped in JSON": (qa("Quote him.", NOTE), qa(f"Is this rude? {json.dumps({'said': NOTE})}")),
    "escaped in JSON twice": (qa("Quote him.", NOTE), qa(json.dumps({"body": json.dumps({"said": NOTE})}))),
    "with escapes of Unicode": (qa("Where?", "In Zürich, près du lac"), qa(json.dumps(["In Zürich, près du lac"]))),
    "escaped in HTML": (qa("Quote.", 'She & he said "no"'), qa("<p>She &amp; he said &quot;no&quot;</p>")),
    "an item of a list of its own": (qa("Where?", SENTENCE), given({"context": ("list[str]", ["As told.", SENTENCE])})),
    "a short item of a list": (call(LISTED, {"question": "?"}, {"items": ["tea", "oil"]}),
                               given({"goods": ("list[str]", ["oil", "tea"])})),
    "a line of a list in a text": (qa("Name three.", "- green tea leaves\n- olive oil\n- salt"), qa("Why olive oil?")),
    "numbered lines, without their numbers": (qa("Plan.", "1. Buy flour\n2. Bake it"), qa("How do I buy flour?")),
    "items joined with commas": (call(LISTED, {"question": "?"}, {"items": ["Lyon", "Nantes"]}), qa("Lyon, Nantes?")),
    "a name in a question": (qa("What is the capital?", "Paris"), qa("How many people live in Paris?")),
    "a short name": (qa("What is the capital?", "Rome"), qa("More on Rome")),
    "a word that is a whole input": (qa("A drink?", "Tea"), given({"drink": ("str", "tea")})),
    "a label that is a whole input": (call(LABELLED, {"review": "Lovely"}, {"sentiment": "positive"}),
                                      given({"mood": ("str", "positive")})),
    "a number under its own name": (call(COUNTED, {"question": "How many?"}, {"n": 3}), given({"n": ("int", 3)})),
    "a truth under its own name": (call(SURE, {"question": "?"}, {"answer": "x", "sure": True}),
                                   given({"sure": ("bool", True)})),
    "a long number in a text": (qa("How many?", "2102650"), qa("Is 2102650 a lot?")),
    "all of a list of numbers": (call("question -> found: list[int]", {"question": "?"}, {"found": [3, 5, 7]}),
                                 given({"numbers": ("list[int]", [3, 5, 7])})),
    "an object": (call("question -> place: dict[str, str]", {"question": "?"}, {"place": {"city": "Ulm", "in": "DE"}}),
                  given({"record": ("dict[str, str]", {"city": "Ulm", "in": "DE"})})),
    "a value of an object in a text": (call("question -> place: dict[str, str]", {"question": "?"},
                                            {"place": {"city": "Toulouse"}}), qa("Where is Toulouse?")),
    "a past turn of a conversation": (qa("Who are you?", "A clerk at a bank"),
                                      past("And now?", [{"question": "Who are you?", "answer": "A clerk at a bank"}])),
    "in XML": (call(QA, {"question": "Where?"}, f"<answer>\n{SENTENCE}\n</answer>", dspy.XMLAdapter()),
               call(QA, {"question": f"Why? {SENTENCE[:-1]}"}, "<answer>\nx\n</answer>", dspy.XMLAdapter())),
    "from JSON": (call(QA, {"question": "Where?"}, json.dumps({"answer": SENTENCE}), dspy.JSONAdapter()),
                  call(QA, {"question": f"Why? {SENTENCE[:-1]}"}, '{"answer": "x"}', dspy.JSONAdapter())),
    "the arguments of a tool call": (
        tool_call("Look it up", {"place": {"city": "Toulouse"}}), qa("Where is Toulouse?")),
    "a prompt of one's own": (plain("Name a king", "Charles the Bald"), plain("Who was Charles the Bald?")),
    "a value of one's own JSON": (plain("As JSON", '{"city": "Bordeaux"}'), plain("Tell me about Bordeaux.")),
    "a script without spaces": (qa("首都は?", "東京です。"), qa("次の文を訳して: 「東京です」")),
    "the thoughts of a module": (call("question -> reasoning, answer", {"question": "?"},
                                      {"reasoning": "First the tax is taken away.", "answer": "7"}),
                                 qa("Check this: first the tax is taken away")),
    "instructions that were written by a model": (
        qa("Improve the prompt.", "Answer in French and name your source."),
        call(dspy.Signature(QA, "Answer in French and name your source."), {"question": "Why?"}, {"answer": "x"})),
}  # fmt: skip

ALONE = {
    "nothing in common": (qa("Where is Rome?", "In Italy"), qa("How old is the moon?")),
    "a number by chance": (qa("How many?", "3"), qa("Name 3 rivers.")),
    "a number in another field": (call(COUNTED, {"question": "How many?"}, {"n": 3}), given({"k": ("int", 3)})),
    "a year by chance": (qa("When was it built?", "1889"), qa("What happened in 1889?")),
    "yes": (qa("Is it?", "Yes"), qa("Answer yes or no: is it?")),
    "no, as a whole input of another name": (qa("Is it?", "No"), given({"flag": ("str", "no")})),
    "a truth": (call(SURE, {"question": "?"}, {"answer": "Never ever", "sure": True}), qa("True or false: it is.")),
    "none": (qa("Any?", "None"), qa("None of these is right. Why?")),
    "a letter of a choice": (qa("A or B?", "A"), qa("Is this A or B?")),
    "a label that is a word of the next text": (call(LABELLED, {"review": "Lovely"}, {"sentiment": "positive"}),
                                                call(LABELLED, {"review": "On the positive side, it is cheap"},
                                                     {"sentiment": "neutral"})),
    "what the request held itself": (qa("Where is Paris?", "Paris"), qa("How old is Paris?")),
    "what a request before held": (qa("Paris or Rome?", "It is in doubt"), qa("Which?", "Rome"), qa("Where is Rome?")),
    "a constant context": (given({"context": ("str", SENTENCE), "question": ("str", "Where?")}),
                           given({"context": ("str", SENTENCE), "question": ("str", "Why?")})),
    "words in another order": (qa("Where?", "Paris is the capital of France"), qa("What is the capital of France?")),
    "a part of a word": (qa("Who?", "Anna"), qa("What is an annatto?")),
    "words of the layout": (qa("Which field?", "answer"), qa("Why is that so?")),
    "the same answer to two questions": (qa("Where?", SENTENCE), qa("Where then?", SENTENCE)),
    "a request that only looks escaped": (qa("Path?", "C:\\temp\\new"), qa("What is a path?")),
    "an empty answer": (qa("Say nothing.", ""), qa("Anything?")),
    "labels that are offered each time": (
        call("text, labels: list[str] -> label", {"text": "x", "labels": ["spam", "ham"]}, {"label": "spam"}),
        call("text, labels: list[str] -> label", {"text": "y", "labels": ["spam", "ham"]}, {"label": "ham"})),
    "demonstrations that are shown each time": (
        past("One?", [{"question": "Who?", "answer": "A clerk at a bank"}]),
        past("Two?", [{"question": "Who?", "answer": "A clerk at a bank"}])),
}  # fmt: skip


@pytest.mark.parametrize("calls", CHAINED.values(), ids=CHAINED)
def test_an_answer_is_found_in_a_later_request(calls):
    assert "is chained: it holds what call 1 answered" in why_not(calls)


@pytest.mark.parametrize("calls", ALONE.values(), ids=ALONE)
def test_what_stands_there_by_chance_is_no_chain(calls):
    assert why_not(calls) == ""


def test_it_says_what_of_the_answer_it_found():
    told = why_not([qa("Tell a story.", STORY), qa("Why?"), qa("Go on: The harbour froze in January!")])
    assert "call 3 (000000000000) is chained: it holds what call 1 answered ('The harbour froze in January.')" in told

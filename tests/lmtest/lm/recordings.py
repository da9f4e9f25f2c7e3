"""Records questions through ``use_cassette``, as most tests of it begin."""

import dspy

import lmtest

QUESTION = "What is the capital of France?"
qa = dspy.Predict("question -> answer")


def record(lm, *questions, path="qa.yaml", **options):
    with dspy.context(lm=lm), lmtest.use_cassette(path, mode="record", **options) as cassette:
        answers = [qa(question=question).answer for question in questions]
    return answers, cassette


async def acall(question):
    return (await qa.acall(question=question)).answer

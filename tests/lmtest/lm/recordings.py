"""Records questions through ``use_cassette``, as most tests of it begin."""

import asyncio
import sys

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


def run(coroutine):
    """Run it on a loop of its own; what LiteLLM would keep open beyond that loop is closed in it."""

    async def whole():
        try:
            return await coroutine
        finally:
            if litellm := sys.modules.get("litellm"):
                await litellm.close_litellm_async_clients()

    return asyncio.run(whole())

"""Cassettes made by real calls to the oracle, without a suite around them."""

from pathlib import Path

import dspy

import lmtest

qa = dspy.Predict("question -> answer: str, n: int")


def record(lm, *questions, path="qa.yaml", mode="record", test=None, program=qa):
    with dspy.context(lm=lm), lmtest.use_cassette(path, mode=mode, test=test):
        for question in questions:
            program(question=question)
    return Path(path)


class Chain(dspy.Module):
    """Asks a second question about the first answer."""

    def __init__(self):
        self.ask = qa

    def forward(self, question):
        first = self.ask(question=question).answer
        return self.ask(question=f"More on {first}")

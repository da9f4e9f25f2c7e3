"""Three DSPy programs, as somebody would write them who has never heard of lmtest."""

from typing import Literal

import dspy


class Verdict(dspy.Signature):
    """Judge whether a claim follows from the evidence."""

    claim: str = dspy.InputField()
    evidence: list[str] = dspy.InputField()
    verdict: Literal["supported", "refuted", "unclear"] = dspy.OutputField()
    confidence: float = dspy.OutputField(desc="between 0 and 1", ge=0, le=1)


def population(city: str) -> int:
    """Look up how many people live in a city."""
    return {"Paris": 2_100_000, "Madrid": 3_300_000}.get(city, 0)


answer_question = dspy.Predict("question -> answer")
judge = dspy.ChainOfThought(Verdict)
agent = dspy.ReAct("question -> answer", tools=[population], max_iters=4)

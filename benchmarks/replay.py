"""What replay adds to DSPy: ``Predict`` from a cassette against ``Predict`` on an engine that has its answer prebuilt.

Both run interleaved in one process, so that a machine whose speed drifts does not decide; the figure to read is the
ratio. Usage: python benchmarks/replay.py [CALLS] [ROUNDS]
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import dspy
from dspy.lm15 import Message, Response, Usage

import lmtest
from lmtest.http.server import StandIn

ANSWER = "[[ ## answer ## ]]\nParis\n\n[[ ## completed ## ]]"


class Prebuilt:
    """The floor: an engine that has its answer already."""

    def __init__(self, text: str) -> None:
        self.response = Response(
            id="x",
            model="gemini-2.5-flash",
            message=Message.assistant(text),
            finish_reason="stop",
            usage=Usage(input_tokens=10, output_tokens=5, total_tokens=15),
        )

    def complete(self, request: object) -> Response:
        return self.response


def timed(lm: dspy.LM, questions: list[str]) -> float:
    """Seconds a call takes."""
    qa = dspy.Predict("question -> answer")
    with dspy.context(lm=lm):
        begun = time.perf_counter()
        for question in questions:
            qa(question=question)
        return (time.perf_counter() - begun) / len(questions)


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    questions = [f"What is the capital of country number {n}?" for n in range(calls)]
    os.environ["LMTEST_LEDGER"] = "off"
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        with StandIn(keep_requests=False) as server:
            live = dspy.LM("gemini/gemini-2.5-flash", api_base=f"{server.url}/v1beta", api_key="any-key", cache=False)
            with lmtest.use_cassette("replay.yaml", mode="record"):
                timed(live, questions)
        floor = dspy.LM("gemini/gemini-2.5-flash", engine=Prebuilt(ANSWER), cache=False)
        timed(floor, questions)
        pairs = []
        for _ in range(rounds):
            bare = timed(floor, questions)
            with lmtest.use_cassette("replay.yaml", mode="replay"):
                pairs.append((bare, timed(live, questions)))
        size = Path("replay.yaml").stat().st_size
    ratios = [replay / bare for bare, replay in pairs]
    print(f"{calls} distinct calls, {size / calls:,.0f} bytes each, {rounds} rounds")
    print(f"prebuilt engine  {statistics.median(bare for bare, _ in pairs) * 1e6:8.0f} us a Predict")
    print(f"replay           {statistics.median(replay for _, replay in pairs) * 1e6:8.0f} us a Predict")
    print(f"ratio            {statistics.median(ratios):8.2f}  (min {min(ratios):.2f}, max {max(ratios):.2f})")


if __name__ == "__main__":
    main()

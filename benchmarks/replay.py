"""What replay adds to DSPy: ``Predict`` from a cassette against ``Predict`` on an engine that has its answer prebuilt.

Calls are played twice: first, when their documents are read, and again from the same cassette opened anew, when what
they answered is remembered by the process. All three run interleaved, round after round, each round with calls of its
own, and are measured in processor time, so that a machine that others share does not decide. The figure to read is the
ratio; its median over the rounds. Usage: python benchmarks/replay.py [CALLS A ROUND] [ROUNDS]
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
    """Seconds of the processor that a call takes."""
    qa = dspy.Predict("question -> answer")
    with dspy.context(lm=lm):
        begun = time.process_time()
        for question in questions:
            qa(question=question)
        return (time.process_time() - begun) / len(questions)


def played(lm: dspy.LM, questions: list[str], path: Path) -> float:
    """Seconds of the processor that a played call takes."""
    with lmtest.use_cassette(path, mode="replay"):
        return timed(lm, questions)


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    os.environ["LMTEST_LEDGER"] = "off"
    times: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        asked = {
            Path(f"{number}.yaml"): [f"What is the capital of country number {number}.{n}?" for n in range(calls)]
            for number in range(rounds + 1)
        }
        with StandIn(keep_requests=False) as server:
            live = dspy.LM("gemini/gemini-2.5-flash", api_base=f"{server.url}/v1beta", api_key="any-key", cache=False)
            for path, questions in asked.items():
                with lmtest.use_cassette(path, mode="record"):
                    timed(live, questions)
        floor = dspy.LM("gemini/gemini-2.5-flash", engine=Prebuilt(ANSWER), cache=False)
        for path, questions in asked.items():
            times.append((timed(floor, questions), played(live, questions, path), played(live, questions, path)))
        size = sum(path.stat().st_size for path in asked) / calls / len(asked)
    del times[0]  # which paid for what is done once in a process
    print(f"{rounds} rounds of {calls} calls, {size:,.0f} bytes each; processor time of a Predict")
    for place, name in enumerate(("prebuilt engine", "replay, first play", "replay, played again")):
        ratios = sorted(each[place] / each[0] for each in times)
        took = statistics.median(each[place] for each in times) * 1e6
        near, far = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        print(
            f"{name:<22} {took:6.0f} us {statistics.median(ratios):8.2f}x  (half of the rounds {near:.2f} to {far:.2f})"
        )


if __name__ == "__main__":
    main()

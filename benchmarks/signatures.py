"""What a signature costs: compiling a new text, finding a known one, validating, and DSPy's own way beside it.

python benchmarks/signatures.py
"""

import gc
import statistics
import time

import dspy

from python_worker.signatures import json_schema, parse, to_dspy

COUNT = 1000
TEN_FIELDS = (
    "signature ten: :string a, :integer(min=0, max=9) b, :float c, :boolean d, :list(:string) e, "
    ':optional(:integer) f, :enum("x", "y") g, :confidence_score h, :string(min_length=1) i, '
    ':string(pattern="^[a-z]+$") j -> :string k'
)
NUMBERS = {"b": 3, "c": 0.5, "d": True, "f": None, "h": 0.9}
INPUTS = NUMBERS | {"a": "text", "e": ["p", "q"], "g": "x", "i": "z", "j": "abc"}


def text(number):
    return (
        f"signature question_answering_{number}: :string question_{number}, :list(:string) context, "
        ":optional(:integer) max_length -> :string answer, :confidence_score confidence"
    )


def timed(work, items):
    """Seconds of each piece of work, in order of size."""
    gc.collect()
    taken = []
    for item in items:
        start = time.thread_time()
        work(item)
        taken.append(time.thread_time() - start)
    return sorted(taken)


def row(name, taken, bound=""):
    mean, middle, late = statistics.mean(taken), taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
    print(f"{name:<52}{mean * 1e6:>10.1f}{middle * 1e6:>10.1f}{late * 1e6:>10.1f}   {bound}")
    return mean


def main():
    print(f"{'microseconds':<52}{'mean':>10}{'median':>10}{'p99':>10}")
    parse(text("first"))
    texts = [text(number) for number in range(COUNT)]
    compiled = row("compile a new text, 5 fields", timed(parse, texts), "mean < 300, p99 < 2000")
    row("find a known text", timed(parse, texts[-500:]))
    tens = [TEN_FIELDS.replace("signature ten", f"signature ten_{number}") for number in range(COUNT)]
    row("compile a new text, 10 fields with constraints", timed(parse, tens))
    ten = parse(TEN_FIELDS)
    row("validate 10 inputs", timed(ten.accept_inputs, [INPUTS] * 20_000), "mean < 30")
    row("JSON Schema of 10 fields", timed(json_schema, [ten.inputs] * COUNT))
    signatures = [parse(each) for each in texts[-200:]]
    row("dspy.Signature of a compiled one, at first use", timed(to_dspy, signatures))
    inline = [f"question_{n}: str, context: list[str], n: int -> answer: str, confidence: float" for n in range(200)]
    peer = row("peer: dspy.Signature of an inline text, 5 fields", timed(dspy.Signature, inline))
    print(f"compiling takes {compiled / peer:.2f} of what DSPy's own signature of as many fields takes")


if __name__ == "__main__":
    main()

"""Whatever a field is called, its program runs, or is refused when it is created."""

import ast
import itertools
import re
from pathlib import Path

import dspy
import pytest

from python_worker.client import Reason, WorkerError

SOURCES = ["predict/*.py", "primitives/*.py", "adapters/base.py", "adapters/chat_adapter.py", "utils/callback.py"]
MODULES = [
    ("Predict", {}),
    ("ChainOfThought", {}),
    ("ReAct", {}),
    ("BestOfN", {"of": "Predict", "reward": "field:score9"}),
    ("Refine", {"of": "Predict", "reward": "field:score9"}),
    ("MultiChainComparison", {}),
    ("Parallel", {"of": "ReAct"}),
]


def names_in_dspy():
    """The arguments of all functions that a program's fields may pass on their way, and names in the worker's own."""
    root = Path(dspy.__file__).parent
    own = (Path(__file__).parents[3] / "python_worker" / "runtime").glob("*.py")
    for file in itertools.chain(*(root.glob(each) for each in SOURCES), own):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = node.args
                yield from (each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))
    yield from ("dspy_", "dspy_uuid", "class", "completions", "base", "self")


NAMES = sorted({name for name in names_in_dspy() if re.fullmatch(r"[A-Za-z]\w*", name)})


@pytest.mark.parametrize("side", ["inputs", "outputs"])
@pytest.mark.parametrize(("module", "options"), MODULES, ids=[name for name, _ in MODULES])
def test_a_name_that_is_taken_when_a_program_is_created_is_no_trouble_when_it_runs(mocked, module, options, side):
    names = created(mocked, module, options, side)
    assert len(names) > 200
    inputs = dict.fromkeys(names, "v") if side == "inputs" else {}
    given = {"question9": "why?", **inputs}
    execution = mocked.execute("p", {"items": [given]} if module == "Parallel" else given)
    outputs = execution.outputs["results"][0] if module == "Parallel" else execution.outputs
    assert side == "inputs" or set(names) <= set(outputs)


@pytest.mark.parametrize("name", ["self", "completions", "instance", "new_signature", "dspy_uuid"])
def test_an_input_that_dspy_would_take_for_its_own_is_refused_with_another_name(mocked, name):
    with pytest.raises(WorkerError, match="call the field otherwise, such as") as caught:
        mocked.create_program("p", signature=f"signature s: :string {name} -> :string answer")
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_ARGUMENT, name)


def created(mocked, module, options, side):
    """The names that a program of that module may have for its fields, made with all of them."""
    names = list(NAMES)
    while True:
        fields = "".join(f", :string {name}" for name in names)
        inputs, outputs = (fields, "") if side == "inputs" else ("", fields)
        signature = f"signature s: :string question9{inputs} -> :float score9{outputs}"
        try:
            mocked.create_program("p", signature=signature, module=module, module_options=options)
        except WorkerError as error:
            if error.reason is not Reason.INVALID_ARGUMENT:
                raise
            names.remove(re.search(r"the name '(\w+)' itself", error.message)[1])
        else:
            return names

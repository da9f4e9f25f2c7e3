#!/usr/bin/env bash
# DSPy's BAMLAdapter takes a model that is named twice in one type for one that holds itself, and refuses it:
#
#     ValueError: BAMLAdapter cannot handle recursive pydantic models, please use a different adapter.
#
# It remembers every model that it has written, and not those that it is in the middle of. So a type with two fields of
# one model cannot be asked for, in any mode; ChatAdapter, JSONAdapter and XMLAdapter ask for it.
# Seen with dspy 3.4.1, 2026-11-30. Run it with the Python of an environment that has dspy: PYTHON=.venv/bin/python
set -euo pipefail
"${PYTHON:-python3}" - <<'PY'
import sys

import dspy
import pydantic
from dspy.adapters.baml_adapter import BAMLAdapter


class Place(pydantic.BaseModel):
    name: str


class Journey(pydantic.BaseModel):
    start: Place
    end: Place


signature = dspy.Signature({"question": (str, dspy.InputField()), "journey": (Journey, dspy.OutputField())})
try:
    BAMLAdapter().format_field_structure(signature)
except ValueError as error:
    assert "recursive" in str(error), error
    print(error)
else:
    sys.exit("changed: a model may be named twice")
for adapter in (dspy.ChatAdapter(), dspy.JSONAdapter(), dspy.XMLAdapter()):
    adapter.format_field_structure(signature)
print("as described")
PY

#!/usr/bin/env bash
# DSPy's ChatAdapter does not read the answer that it asks for, where the type is an enumeration with numbers.
#
# It asks for "one of: 1; 2", gets the text "1", and looks for a member whose value is "1". There is none, and the answer
# is an AdapterParseError; it reads the member's name instead. XMLAdapter does alike; JSONAdapter, where 1 is a number,
# reads it. With its fallback to JSONAdapter a program gets its value by a second call.
# Seen with dspy 3.4.1, 2026-11-30. Run it with the Python of an environment that has dspy: PYTHON=.venv/bin/python
set -euo pipefail
"${PYTHON:-python3}" - <<'PY'
import enum
import sys

import dspy
from dspy.utils.exceptions import AdapterParseError


class Rank(enum.IntEnum):
    FIRST = 1
    SECOND = 2


signature = dspy.Signature({"question": (str, dspy.InputField()), "rank": (Rank, dspy.OutputField())})
chat = dspy.ChatAdapter()
assert "must be one of: 1; 2" in chat.format_field_structure(signature), "changed: it asks for something else"
try:
    chat.parse(signature, "[[ ## rank ## ]]\n1\n\n[[ ## completed ## ]]")
except AdapterParseError as error:
    print(str(error).strip().splitlines()[0])
else:
    sys.exit("changed: it reads the number")
assert chat.parse(signature, "[[ ## rank ## ]]\nFIRST\n\n[[ ## completed ## ]]")["rank"] is Rank.FIRST
assert dspy.JSONAdapter().parse(signature, '{"rank": 1}')["rank"] is Rank.FIRST
print("as described")
PY

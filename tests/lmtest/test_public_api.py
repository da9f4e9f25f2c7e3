"""The public names, and what importing them costs."""

import subprocess
import sys

import lmtest


def test_every_public_name_is_there():
    assert [name for name in lmtest.__all__ if not hasattr(lmtest, name)] == []


def test_the_public_names_are_these():
    assert sorted(lmtest.__all__) == [
        "BudgetExceeded",
        "Call",
        "Cassette",
        "CassetteError",
        "CassetteExhausted",
        "CassetteFormatError",
        "CassetteLocked",
        "CassetteMiss",
        "CassetteNotFound",
        "CassetteReport",
        "CassetteTampered",
        "CassetteUnsaved",
        "ConfigurationError",
        "Executed",
        "Exit",
        "LM",
        "LMTestError",
        "LimitError",
        "Limits",
        "Mode",
        "NetworkBlocked",
        "RateLimited",
        "Recording",
        "Rule",
        "SharedCassette",
        "Stop",
        "Stopped",
        "ToolError",
        "block_network",
        "budget_left",
        "cassette_path",
        "check_settings",
        "choose_mode",
        "recordings",
        "redact",
        "refresh_executions",
        "refresh_options",
        "rules_from_plain",
        "run_variables",
        "running_test",
        "tool",
        "use_cassette",
    ]


def test_importing_lmtest_brings_nothing_heavy():
    heavy = "dspy", "litellm", "pydantic", "yaml", "sqlite3", "rich", "click", "grpc"
    code = f"import sys, lmtest; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_recording_and_replaying_bring_no_litellm(tmp_path):
    code = """
import sys, dspy, lmtest
from lmtest.http.server import StandIn
with StandIn() as server:
    lm = dspy.LM("gemini/gemini-2.5-flash", api_base=server.url + "/v1beta", api_key="any-key")
    for mode in ("record", "replay"):
        with dspy.context(lm=lm), lmtest.use_cassette("x.yaml", mode=mode):
            dspy.Predict("question -> answer")(question="why?")
print("litellm" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

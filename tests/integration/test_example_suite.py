"""The example suite as a user runs it: recorded once, then replayed offline, and red where a prompt has changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lmtest.http.server import StandIn

# One worker of a parallel run records the suite, for all of these.
pytestmark = pytest.mark.xdist_group("the example suite")

ROOT = Path(__file__).parents[2]

# Stronger than the plugin's own guard, and independent of it: no socket but loopback's.
NO_NETWORK = """
import socket

connect = socket.socket.connect

def loopback_only(self, address):
    assert self.family == socket.AF_UNIX or address[0] in {"127.0.0.1", "::1"}, f"a connection to {address}"
    return connect(self, address)

socket.socket.connect = loopback_only
"""

MORE_WAYS = """
import asyncio
import os

import dspy
import pytest

pytestmark = pytest.mark.lmtest

if dspy.__version__ == "3.4.0":
    import openai

    openai.OpenAI  # loads it whole before LiteLLM, as in the conftest of all tests


@pytest.fixture(autouse=True, params=["auto", "litellm"])
def engine(request):
    lm = dspy.LM("gemini/gemini-2.5-flash", engine=request.param, api_base=os.environ.get("QA_API_BASE"))
    with dspy.context(lm=lm):
        yield


def test_acall():
    assert asyncio.run(dspy.Predict("question -> answer").acall(question="Which way is north?")).answer


def test_streamify():
    async def stream():
        program = dspy.streamify(
            dspy.Predict("question -> answer"), stream_listeners=[dspy.streaming.StreamListener("answer")]
        )
        return [item async for item in program(question="Which way is north?")]

    *chunks, prediction = asyncio.run(stream())
    assert "".join(chunk.chunk for chunk in chunks).strip() == prediction.answer
"""


def run(suite, mode, **environ):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LM", "GEMINI", "TEST_", "CI"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    return subprocess.run(
        command,
        cwd=suite,
        env={**kept, "LM_MODE": mode, **environ},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A copy of the suite, recorded from a stand-in that is stopped since."""
    suite = tmp_path_factory.mktemp("user") / "qa"
    shutil.copytree(ROOT / "examples" / "qa", suite, ignore=shutil.ignore_patterns("__pycache__"))
    (suite / "test_more_ways.py").write_text(MORE_WAYS)
    (suite / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    with StandIn() as server:
        done = run(suite, "record", QA_API_BASE=f"{server.url}/v1beta", GEMINI_API_KEY="any-key-at-all")
    assert done.returncode == 0, done.stdout
    (suite / "sitecustomize.py").write_text(NO_NETWORK)
    return suite


@pytest.fixture
def suite(recorded, tmp_path):
    """The recorded suite, to be changed at will."""
    return Path(shutil.copytree(recorded, tmp_path / "qa"))


def test_it_replays_with_every_socket_but_loopback_s_blocked(suite):
    done = run(suite, "replay", PYTHONPATH=str(suite))
    assert done.returncode == 0, done.stdout
    assert "mode replay" in done.stdout
    assert "spent $0" in done.stdout


def test_recording_again_from_the_same_answers_changes_no_key(suite):
    def keys():
        found = {}
        for path in sorted(suite.rglob("cassettes/**/*.yaml")):
            found[path.name] = sorted(line for line in path.read_text().splitlines() if line.startswith("key:"))
        return found

    before = keys()
    (suite / "sitecustomize.py").unlink()
    with StandIn() as server:
        run(suite, "record", QA_API_BASE=f"{server.url}/v1beta", GEMINI_API_KEY="any-key-at-all")
    assert keys() == before


def test_a_changed_word_turns_it_red_and_is_shown(suite):
    tests = suite / "test_programs.py"
    tests.write_text(tests.read_text().replace("What is the capital of France?", "What is the capital of Italy?"))
    done = run(suite, "replay", PYTHONPATH=str(suite))
    assert done.returncode == 1
    assert "What is the capital of [-France-]{+Italy+}?" in done.stdout
    assert "1 failed" in done.stdout


def test_an_unknown_mode_is_one_sentence_and_nothing_runs(suite):
    done = run(suite, "replya")
    assert done.returncode == 4
    assert "LM_MODE is 'replya', which is no mode. Did you mean 'replay'?" in done.stderr

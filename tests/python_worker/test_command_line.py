"""``python -m python_worker`` as a user runs it: other processes, lines, signals, exit codes."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import lmtest
from lmtest.http.server import StandIn
from lmtest.money.ledger import Ledger
from python_worker.client import Reason, WorkerError, connect
from python_worker.domain.execution import ExecutionStatus
from python_worker.domain.stage import Stage

from ..streamed import whole  # noqa: TID252 - tests are no installed package

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "python_worker"]
TEXT = "signature qa: :string question, :list(:string) context -> :string answer, :confidence_score confidence"
ASKED = {"question": "What is the capital of France?", "context": ["Paris is the capital of France."]}
NO_KEYS = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY") and name != "LM_MODE"}


def run(folder, *arguments, **environ):
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=NO_KEYS | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Served:
    """A worker in a process of its own."""

    def __init__(self, folder, *arguments, **environ):
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", *arguments],
            cwd=folder,
            env=NO_KEYS | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.line = self.process.stdout.readline()
        self.target = f"127.0.0.1:{self.line.strip().removeprefix('GRPC_READY:')}"
        self.client = connect(self.target)

    def stop(self, number=signal.SIGTERM):
        """End it by a signal.

        Returns:
            Its exit code, and what it wrote to stdout after the first line.
        """
        self.client.close()
        self.process.send_signal(number)
        out, self.errors = self.process.communicate(timeout=30)
        return self.process.returncode, out

    def kill(self):
        self.client.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(*arguments, folder=tmp_path, **environ):
        started.append(Served(folder, *arguments, **environ))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder where a worker has recorded one execution from a stand-in that is gone, and that execution."""
    folder = tmp_path_factory.mktemp("recorded")
    with StandIn(keep_requests=False) as provider:
        arguments = ("--lm-mode", "record", "--api-base", f"{provider.url}/v1beta")
        worker = Served(folder, *arguments, GEMINI_API_KEY="stand-in-key")
        try:
            worker.client.create_signature(TEXT)
            worker.client.create_program("thinker", signature="qa", module="ChainOfThought")
            execution = worker.client.execute("thinker", ASKED)
            assert worker.stop() == (0, "")
        finally:
            worker.kill()
    return folder, execution


@pytest.fixture
def folder(recorded, tmp_path):
    """A copy of that folder, to be changed."""
    shutil.copytree(recorded[0], tmp_path / "copy")
    return tmp_path / "copy"


def test_what_was_recorded_is_replayed_without_the_provider_a_key_or_the_environments_mode(recorded, folder, serve):
    worker = serve("--lm-mode", "replay", folder=folder, LM_MODE="record")
    _, first = recorded
    again = worker.client.execute("thinker", ASKED)
    assert again.outputs == first.outputs
    ((live,), (played,)) = first.stages[2].calls, again.stages[2].calls
    assert (live.hit, played.hit) == ("live", "cassette")
    assert (live.key, live.input_tokens) == (played.key, played.input_tokens)
    assert re.fullmatch(r"cassettes/thinker/[0-9a-f]{12}\.yaml", played.cassette)


def test_inputs_that_were_never_recorded_have_no_cassette(folder, serve):
    with pytest.raises(WorkerError, match=r"no cassette cassettes/thinker/\w+\.yaml.*--lm-mode record") as caught:
        serve("--lm-mode", "replay", folder=folder).client.execute("thinker", ASKED | {"question": "And of Spain?"})
    assert caught.value.reason is Reason.CASSETTE_NOT_FOUND


def test_a_changed_prompt_is_a_miss_that_shows_the_nearest_recording(folder, serve):
    worker = serve("--lm-mode", "replay", folder=folder)
    worker.client.create_signature(TEXT.replace("qa:", "qa2:"), description="Answer like a pirate.")
    worker.client.create_program("pirate", signature="qa2", module="ChainOfThought")
    shutil.copytree(folder / "cassettes" / "thinker", folder / "cassettes" / "pirate")
    with pytest.raises(WorkerError, match="pirate") as caught:
        worker.client.execute("pirate", ASKED)
    assert caught.value.reason is Reason.CASSETTE_MISS
    assert "The nearest recorded request" in worker.client.get_execution(caught.value.execution_id).error.message


def test_mock_mode_answers_without_key_cassettes_or_recordings(tmp_path, serve):
    worker = serve("--lm-mode", "mock")
    worker.client.create_signature(TEXT)
    worker.client.create_program("qa", signature="qa")
    execution = worker.client.execute("qa", ASKED)
    assert set(execution.outputs) == {"answer", "confidence"}
    assert [call.hit for call in execution.stages[2].calls] == ["mock"]
    assert not (tmp_path / "cassettes").exists()


@pytest.fixture
def run_example(serve):
    """Runs the examples of a page that call a worker, on one; what they print."""
    worker = serve("--lm-mode", "mock")

    def run_example(page):
        examples = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
        code = "\n".join(each for each in examples if "connect(" in each).replace("127.0.0.1:50051", worker.target)
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        assert result.stderr == ""
        return result.stdout

    return run_example


def test_the_documented_example_runs_as_it_stands_and_again(run_example):
    for _ in range(2):
        told = run_example("docs/worker.md")
        assert re.findall(r"^(\w+) +[\d.]+ ms  ok", told, re.MULTILINE) == [stage.value for stage in Stage]
        assert "validation_error question inputs of 'qa': question must be a string, not 42." in told


def test_the_readmes_example_serves_a_tool_and_tells_what_a_program_did_and_again(run_example):
    for _ in range(2):
        told = run_example("README.md")
        answer, _, made = told.rpartition("\n[")
        assert re.fullmatch(r"Mock answer [^\n]+", whole(answer)), told
        assert re.fullmatch(r"'population'\], \d model calls\n", made), told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_it_is_ready_in_one_line_is_healthy_and_ends_with_0_on_a_signal(serve, number):
    worker = serve("--lm-mode", "mock")
    assert re.fullmatch(r"GRPC_READY:\d+\n", worker.line)
    with grpc.insecure_channel(worker.target) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert worker.stop(number) == (0, "")
    assert "Traceback" not in worker.errors


def test_a_model_that_never_answers_does_not_keep_a_stopped_worker_alive(serve, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as pool:
        base = f"http://127.0.0.1:{silent.getsockname()[1]}"
        arguments = ("--lm-mode", "record", "--api-base", base, "--grace", "0")
        worker = serve(*arguments, GEMINI_API_KEY="stand-in-key")
        worker.client.create_signature(TEXT)
        worker.client.create_program("qa", signature="qa")
        asking = pool.submit(worker.client.execute, "qa", ASKED)
        connection, _ = silent.accept()  # the call has been sent
        worker.process.send_signal(signal.SIGTERM)
        with pytest.raises(WorkerError):
            asking.result(timeout=30)
        assert worker.process.wait(timeout=30) == 0
        connection.close()
    with contextlib.closing(sqlite3.connect(tmp_path / ".lmtest" / "worker" / "worker.sqlite3")) as database:
        assert database.execute("SELECT status FROM executions").fetchall() == [(ExecutionStatus.CANCELLED.value,)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--lm-mode", "repaly"], "--lm-mode is 'repaly', which is no mode. Did you mean 'replay'?"),
        (["--lm-mode", "replay", "--cassette-dir", "nowhere"], "--cassette-dir 'nowhere' is no directory"),
        ([], "--cassette-dir 'cassettes' is no directory"),
        (
            ["--lm-mode", "record", "--cassette-dir", "/proc/x"],
            "cassettes to --cassette-dir '/proc/x', which cannot be",
        ),
        (["--lm-mode", "mock", "--data-dir", "/proc/x"], "the directory '/proc/x' of the database cannot be made"),
        (["--lm-mode", "mock", "--data-dir", __file__], "of the database cannot be made: File exists"),
        (["--lm-mode", "record"], "GEMINI_API_KEY or GOOGLE_API_KEY is not set"),
        (["--lm-mode", "live", "--model", "anthropic/claude"], "ANTHROPIC_API_KEY is not set"),
        (["--lm-mode", "mock", "--host", "0.0.0.0"], "--host 0.0.0.0 without --tokens: whoever reaches it"),
        (["--lm-mode", "mock", "--database-url", "mysql://x"], "the worker does not store in mysql"),
        (["--lm-mode", "mock", "--database-url", "postgresql+psycopg://x@127.0.0.1:1/x"], "does not answer"),
    ],
)
def test_what_cannot_work_is_one_sentence_exit_code_2_and_nothing_written(tmp_path, arguments, says):
    result = run(tmp_path, "serve", *arguments)
    (line,) = result.stderr.splitlines()
    assert line.startswith("python_worker: ")
    assert says in line
    assert (result.returncode, result.stdout) == (2, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["record", "live"])
@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("LMTEST_USD_PER_TEST", "1", "usd_per_test limits single tests, and a worker's executions belong to none"),
        ("LMTEST_PRICES", "gone.toml", "gone.toml', which cannot be read"),
        ("LMTEST_LEDGER", "ledger.sqlite3", "ledger.sqlite3' cannot be used: attempt to write a readonly database"),
    ],
)
def test_what_would_fail_or_hold_no_call_is_said_before_a_worker_that_calls_is_ready(
    tmp_path, mode, variable, value, says
):
    ledger = tmp_path / "ledger.sqlite3"
    with Ledger(ledger) as made:
        made.open()
    with ledger.open("r+b") as opened:  # as SQLite marks what a newer one alone may write
        opened.seek(18)
        opened.write(b"\x03")
    result = run(tmp_path, "serve", "--lm-mode", mode, **{"GEMINI_API_KEY": "any-key", variable: value})
    (line,) = result.stderr.splitlines()
    assert says in line
    assert (result.returncode, result.stdout) == (2, "")


def test_a_worker_that_is_told_to_be_insecure_listens_beyond_loopback_and_says_so_in_its_log(serve):
    worker = serve("--lm-mode", "mock", "--host", "0.0.0.0", "--insecure")
    assert list(worker.client.programs()) == []
    worker.stop()
    assert "WARNING python_worker: insecure, as told: --host 0.0.0.0 without --tokens" in worker.errors


def test_a_port_that_is_taken_is_one_sentence_exit_code_2_and_nothing_written(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run(tmp_path, "serve", "--lm-mode", "mock", "--port", str(port))
    assert f"python_worker: port {port} on 127.0.0.1 cannot be had" in result.stderr
    assert (result.returncode, result.stdout) == (2, "")
    assert list(tmp_path.iterdir()) == []


def test_it_tells_its_version_and_the_modes_there_are(tmp_path):
    assert run(tmp_path, "--version").stdout == f"python_worker, version {lmtest.__version__}\n"
    usage = " ".join(run(tmp_path, "serve", "--help").stdout.split())
    assert "--lm-mode [mock|replay|record|auto|refresh|live]" in usage


def test_the_modes_environment_variable_is_taken_where_no_flag_is_given(tmp_path):
    assert "GEMINI_API_KEY" in run(tmp_path, "serve", LM_MODE="live").stderr
    assert "LM_MODE is 'repaly'" in run(tmp_path, "serve", LM_MODE="repaly").stderr
    assert "--lm-mode is 'repaly'" in run(tmp_path, "serve", "--lm-mode", "repaly", LM_MODE="mock").stderr
    assert "GEMINI_API_KEY" in run(tmp_path, "serve", TEST_MODE="e2e").stderr  # which is live


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('ignore = ["$["]', "is no JSONPath"),
        ('scrub = ["("]', "is neither one of"),
        ('redact = ["("]', "is no regular expression"),
        ('mock_rules = "no.yaml"', "no.yaml cannot be read"),
        ('mock_rules = "broken.yaml"', "does not read as YAML"),
        ('ledger = "pyproject.toml/ledger.sqlite3"', "cannot be made in"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line_and_exit_code_2(tmp_path, setting, said):
    (tmp_path / "pyproject.toml").write_text(f"[tool.lmtest]\n{setting}\n")
    (tmp_path / "broken.yaml").write_text("- when: [\n")
    result = run(tmp_path, "serve", "--lm-mode", "mock", "--port", "0")
    (line,) = result.stderr.splitlines()
    assert line.startswith("python_worker: ")
    assert said in line
    assert (result.returncode, result.stdout) == (2, "")


@pytest.mark.parametrize("said", ["record", "live"])
def test_test_mode_is_honoured_where_it_names_a_mode(tmp_path, said):
    assert f"mode {said} calls" in run(tmp_path, "serve", TEST_MODE=said).stderr
    assert "TEST_MODE is 'recrod', which is no mode" in run(tmp_path, "serve", TEST_MODE="recrod").stderr


def test_audit_show_prints_the_stages_and_the_calls(recorded):
    folder, execution = recorded
    result = run(folder, "audit", "show", execution.id)
    assert result.returncode == 0
    stages = re.findall(r"ms  (\w+) +ok", result.stdout)
    assert stages == [record.stage.value for record in execution.stages]
    (call,) = execution.stages[2].calls
    assert f"live      gemini/gemini-2.5-flash  {call.input_tokens}+{call.output_tokens} tokens" in result.stdout


def test_audit_show_of_an_unknown_execution_is_a_sentence(recorded):
    result = run(recorded[0], "audit", "show", "exec_nothing")
    assert (result.returncode, result.stdout) == (2, "")
    assert "no execution 'exec_nothing'" in result.stderr


def test_audit_verify_says_that_all_events_hold(recorded):
    result = run(recorded[0], "audit", "verify")
    assert (result.returncode, result.stdout) == (0, "9 events, all hold\n")


def test_audit_verify_names_a_tampered_event_and_exits_1(recorded, folder):
    with contextlib.closing(sqlite3.connect(folder / ".lmtest" / "worker" / "worker.sqlite3")) as database, database:
        database.execute("DROP TRIGGER audit_events_no_update")
        database.execute("UPDATE audit_events SET payload = replace(payload, 'live', 'mock') WHERE sequence = 6")
    result = run(folder, "audit", "verify")
    assert result.returncode == 1
    first, last = result.stdout.splitlines()
    assert first.startswith(f"chain '(worker)', event 6 (execution {recorded[1].id}): its content differs")
    assert last == "9 events, 1 break"


@pytest.mark.parametrize(
    ("option", "told"), [([], None), (["--audit", "values"], "Is <redacted:CUSTOMER_TOKEN> one of yours?")]
)
def test_inputs_go_on_record_by_value_only_where_asked_for_and_redacted(serve, tmp_path, option, told):
    worker = serve("--lm-mode", "mock", *option, CUSTOMER_TOKEN="tok_5ecret-of-a-customer")
    worker.client.create_signature(TEXT)
    worker.client.create_program("qa", signature="qa")
    worker.client.execute("qa", ASKED | {"question": "Is tok_5ecret-of-a-customer one of yours?"})
    assert worker.stop() == (0, "")
    with contextlib.closing(sqlite3.connect(tmp_path / ".lmtest" / "worker" / "worker.sqlite3")) as database:
        ((payload,),) = database.execute("SELECT payload FROM audit_events WHERE kind = 'execution_started'").fetchall()
    assert json.loads(payload).get("inputs", {}).get("question") == told


@pytest.mark.parametrize("command", [["audit", "verify"], ["audit", "show", "exec_1"], ["backup", "b"]])
def test_an_audit_of_a_directory_without_a_database_makes_none(tmp_path, command):
    result = run(tmp_path, *command)
    assert (result.returncode, result.stdout) == (2, "")
    assert "holds no worker.sqlite3" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "heavy"),
    [("python_worker", ["dspy", "grpc", "sqlalchemy"]), ("python_worker.client", ["dspy", "sqlalchemy", "lark"])],
)
def test_an_import_brings_only_what_it_needs(tmp_path, module, heavy):
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "[]\n"


def generated(folder):
    script = folder / "scripts" / "generate_proto.py"
    return subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, timeout=60, check=False)


def test_the_generated_code_is_what_the_contract_gives():
    result = generated(ROOT)
    assert (result.returncode, result.stderr) == (0, "")


def test_generated_code_that_is_stale_is_told(tmp_path):
    for name in ("proto", "scripts", "python_worker/v1"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    contract = tmp_path / "proto" / "python_worker" / "v1" / "worker.proto"
    contract.write_text(contract.read_text().replace("string raw_answer = 7", "string last_words = 7"))
    result = generated(tmp_path)
    assert result.returncode == 1
    assert "is stale (worker_pb2.py, worker_pb2.pyi): run `python scripts/generate_proto.py`" in result.stderr


def test_the_documented_example_of_state_runs_as_it_stands_and_again(run_example):
    told = [
        "0.7 True ['retries', 'temperature'] 0",
        (
            "constraint_violation variable 'retries' breaks a constraint of :integer(min=0, max=5): "
            "retries is above maximum 5: 9."
        ),
        "variable 'retries' is at version 2, not at 1: someone changed it since. Get it anew and decide again.",
        "[0.7, 0.2, 0.7]",
        "initial tags None ['cold'] 1",
        "initial temperature None 0.7 3",
        "set temperature 0.7 0.9 4",
    ]
    assert run_example("docs/state.md").splitlines() == told
    assert run_example("docs/state.md").splitlines() == told

"""A worker of its own for the workflows, as any client would start one; LM_MODE says who answers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from python_worker.client import connect

CASSETTES = Path(__file__).parents[2] / "cassettes" / "examples" / "workflows"


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """A client of a worker in a process of its own. WORKFLOWS_API_BASE points it at `lmtest serve` or its like."""
    command = [sys.executable, "-m", "python_worker", "serve", "--port", "0", "--cassette-dir", str(CASSETTES)]
    command += ["--data-dir", str(tmp_path_factory.mktemp("worker"))]
    if api_base := os.environ.get("WORKFLOWS_API_BASE"):
        command += ["--api-base", api_base]
    environ = {"LMTEST_LEDGER": "off", "LITELLM_LOCAL_MODEL_COST_MAP": "true"} | os.environ
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = process.stdout.readline()
            with connect(f"127.0.0.1:{ready.removeprefix('GRPC_READY:').strip()}") as client:
                yield client
        finally:
            process.terminate()

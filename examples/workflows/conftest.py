"""A worker for the workflows, as any team would start one in a fixture; LM_MODE says who answers its programs.

In `replay`, the default, and in `mock` nothing is asked of anybody. In `record`, `refresh`, `auto` and `live` the
worker asks the stand-in, `lmtest serve`, which is started too: no key, no cost, and no model's words. Name another
provider by WORKFLOWS_API_BASE, and its key by GEMINI_API_KEY.
"""

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest

import lmtest
from python_worker.client import connect


@contextmanager
def running(*command, cwd, **environ):
    """A process of its own, and the first line that it prints when it is ready."""
    command = (sys.executable, "-m", *command)
    with subprocess.Popen(command, cwd=cwd, env=os.environ | environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline()
        finally:
            process.terminate()


@contextmanager
def provider(cwd):
    """The address of whoever answers, and the variables that the worker needs for it."""
    if base := os.environ.get("WORKFLOWS_API_BASE"):
        yield base, {}
        return
    with running("lmtest", "serve", cwd=cwd) as told:
        url = told.split()[2].rstrip(";")
        yield f"{url}/v1beta", {"GEMINI_API_KEY": "any-key"}


@pytest.fixture(scope="session")
def target(pytestconfig, tmp_path_factory):
    """The address of a worker in a process of its own, on the cassettes of these tests."""
    mode = lmtest.choose_mode(flag=pytestconfig.getoption("--lmtest-mode")).mode
    root = pytestconfig.rootpath  # where pytest has its cassettes, so has the worker
    command = ["python_worker", "serve", "--port", "0", "--lm-mode", mode.value]
    command += ["--data-dir", str(tmp_path_factory.mktemp("worker"))]
    with ExitStack() as processes:
        key = {}
        if not mode.offline:
            base, key = processes.enter_context(provider(root))
            command += ["--api-base", base]
        ready = processes.enter_context(running(*command, cwd=root, **key))
        yield f"127.0.0.1:{ready.removeprefix('GRPC_READY:').strip()}"


@pytest.fixture
def worker(target):
    """A client. What the worker does for it is the running test's, so that each test has a cassette of its own."""
    with connect(target) as client:
        yield client

"""``lmtest serve`` as a user runs it: another process, a line, a signal."""

import signal
import socket
import subprocess
import sys

import httpx
import pytest

COMMAND = [sys.executable, "-c", "from lmtest.cli import main; main()", "serve"]


def run(*arguments, before=""):
    command = [COMMAND[0], "-c", f"{before}; {COMMAND[2]}" if before else COMMAND[2], *COMMAND[3:], *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def refused(result):
    """The one sentence that a refused start leaves."""
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


@pytest.fixture
def serve():
    started = []

    def start(*arguments):
        process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process, process.stdout.readline()

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_answers_and_ends_cleanly_on_a_signal(serve, number):
    process, line = serve("--mode", "mock", "--port", "0")
    url = line.split()[2]
    assert line == f"lmtest serve: {url} (mock); set GEMINI_API_BASE={url}/v1beta, or api_base='{url}/v1beta'\n"
    assert httpx.get(f"{url}/v1beta/models?key=x", trust_env=False).headers["x-lmtest-source"] == "stand-in"
    process.send_signal(number)
    rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_its_usage_says_which_modes_there_are():
    assert "--mode [mock]" in run("--help").stdout


def test_the_port_file_holds_the_port_when_the_line_is_out(serve, tmp_path):
    _, line = serve("--port-file", str(tmp_path / "port"))
    assert f":{(tmp_path / 'port').read_text().strip()} " in line
    assert [path.name for path in tmp_path.iterdir()] == ["port"]


def test_a_port_file_that_cannot_be_written_is_one_sentence(tmp_path):
    sentence = refused(run("--port-file", str(tmp_path / "missing" / "port")))
    assert sentence.startswith("lmtest: --port-file ")
    assert sentence.endswith("No such file or directory")


def test_a_port_in_use_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sentence = refused(run("--port", str(taken.getsockname()[1])))
    assert "Address already in use" in sentence


def test_a_mode_that_is_not_there_yet_names_the_one_that_is():
    assert refused(run("--mode", "replay")).endswith("lmtest serve --mode mock")


def test_a_word_that_is_no_mode_gets_the_nearest():
    assert "Did you mean 'mock'?" in refused(run("--mode", "moc"))


@pytest.mark.parametrize("package", ["uvicorn", "starlette"])
def test_without_the_http_extra_the_pip_command_is_named(package):
    # None in sys.modules is how Python itself says "cannot be imported".
    sentence = refused(run(before=f"import sys; sys.modules[{package!r}] = None"))
    assert package in sentence
    assert sentence.endswith("pip install 'lmtest[http]'")


def test_it_starts_without_importing_dspy():
    code = "import sys, lmtest.http.server; sys.exit('dspy' in sys.modules or 'litellm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""The network of a test that runs offline."""

import pytest

CONNECT = """
import socket, pytest

pytestmark = pytest.mark.lmtest{arguments}

def test_it():
    try:
        socket.create_connection(("192.0.2.1", 443), timeout=0.01)
    except OSError:
        print("the connection was tried")
"""


@pytest.mark.parametrize("mode", ["replay", "mock"])
def test_a_connection_is_refused_naming_host_and_test(mode, suite):
    suite.write(test_net=CONNECT.format(arguments=""))
    result = suite.run(mode=mode)
    assert result.outcomes == {"failed": 1}
    assert "NetworkBlocked: a look-up of 192.0.2.1 was refused: test_net.py::test_it runs offline" in result.output


def test_the_refusal_says_what_is_recorded_and_what_else_helps(suite):
    suite.write(test_net=CONNECT.format(arguments=""))
    output = suite.run().output
    assert (
        "Recorded and replayed are calls of dspy.LM, of dspy.Embedder and of @lmtest.tool functions, and no others"
        in output
    )
    assert "wrap the function that calls in lmtest.tool, keep the recorder you have" in output
    assert "@pytest.mark.lmtest(allow_hosts=['192.0.2.1'])" in output
    assert "LM_MODE=record" not in output, "which would record nothing of it"


@pytest.mark.parametrize("mode", ["record", "live"])
def test_a_mode_that_calls_live_blocks_nothing(mode, suite):
    suite.write(test_net=CONNECT.format(arguments=""))
    assert "the connection was tried" in suite.run("-s", mode=mode).output


def test_a_marker_lets_a_host_through(suite):
    suite.write(test_net=CONNECT.format(arguments="(allow_hosts=['192.0.2.1'])"))
    assert "the connection was tried" in suite.run("-s").output


def test_a_setting_lets_hosts_through_for_the_whole_suite(suite):
    suite.write(test_net=CONNECT.format(arguments=""))
    suite.ini("lmtest_allow_hosts = example.com 192.0.2.*")
    assert "the connection was tried" in suite.run("-s").output


def test_fixtures_are_offline_too_and_other_tests_are_not(suite):
    text = """
import socket, pytest

@pytest.fixture
def reaching_out():
    with pytest.raises(Exception, match="runs offline"):
        socket.getaddrinfo("api.example.com", 443)

@pytest.mark.lmtest(allow_blocked=True)
def test_offline(reaching_out): pass

def test_online():
    socket.getaddrinfo("localhost", 443)
    assert socket.getaddrinfo.__module__ == "socket"
"""
    suite.write(test_net=text)
    assert suite.run().outcomes == {"passed": 2}


CAUGHT = """
import socket, threading, pytest

def reach_out():
    try:
        socket.create_connection(("192.0.2.1", 443), timeout=0.01)
    except Exception:
        pass

@pytest.fixture
def before():
    reach_out()

@pytest.fixture
def after():
    yield
    reach_out()

def in_a_thread():
    thread = threading.Thread(target=reach_out)
    thread.start()
    thread.join()

@pytest.mark.lmtest
"""
CATCHERS = {
    "the test": "def test_it(): reach_out()",
    "a thread of it": "def test_it(): in_a_thread()",
    "a fixture of it": "def test_it(before): pass",
    "a test that was expected to fail otherwise": "@pytest.mark.xfail\ndef test_it(): reach_out(); assert 0",
    "a test that skips itself then": "def test_it(): reach_out(); pytest.skip('no network')",
}


@pytest.mark.parametrize("test", CATCHERS.values(), ids=CATCHERS)
def test_a_refusal_fails_its_test_even_when_caught_by(test, suite):
    suite.write(test_net=CAUGHT + test)
    result = suite.run()
    assert result.outcomes == {"failed": 1}
    assert result.output.count("a look-up of 192.0.2.1 was refused") == 2, "in the failure, and in pytest's last lines"
    assert "mode replay: 0 calls in 1 test (1 blocked)" in result.output
    assert "traceback entries are hidden" not in result.output


def test_a_refusal_that_a_fixture_caught_while_it_ended_is_an_error(suite):
    suite.write(test_net=CAUGHT + "def test_it(after): pass")
    assert suite.run().outcomes == {"passed": 1, "errors": 1}


def test_a_refusal_is_told_beside_the_failure_that_it_led_to(suite):
    suite.write(test_net=CAUGHT + "def test_it(): reach_out(); assert 0, 'no answer'")
    output = suite.run().output
    assert "AssertionError: no answer" in output
    assert "lmtest: blocked, and caught by the program" in output


@pytest.mark.parametrize("how", [(), ("-n", "2")], ids=["in one process", "under xdist"])
def test_refusals_may_be_allowed_and_are_counted_then_too(how, suite):
    suite.write(test_net=CAUGHT.replace("mark.lmtest", "mark.lmtest(allow_blocked=True)") + CATCHERS["the test"])
    result = suite.run(*how)
    assert result.outcomes == {"passed": 1}
    assert "(1 blocked)" in result.output


def test_what_is_let_through_is_no_refusal(suite):
    suite.write(test_net=CAUGHT.replace("mark.lmtest", "mark.lmtest(allow_hosts='192.0.2.1')") + CATCHERS["the test"])
    assert suite.run().outcomes == {"passed": 1}


def test_a_refusal_is_annotated_on_github(suite, tmp_path):
    summary = tmp_path / "summary.md"
    suite.write(test_net=CAUGHT + "def test_it(): reach_out(); reach_out()")
    output = suite.run(environ={"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}).output
    assert output.count("::error file=test_net.py,line=24,title=lmtest blocked::a look-up of 192.0.2.1") == 1
    assert "**Blocked**" in summary.read_text()

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
    assert "Recorded and replayed are calls of dspy.LM and of @lmtest.tool functions, and no others" in output
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

@pytest.mark.lmtest
def test_offline(reaching_out): pass

def test_online():
    socket.getaddrinfo("localhost", 443)
    assert socket.getaddrinfo.__module__ == "socket"
"""
    suite.write(test_net=text)
    assert suite.run().outcomes == {"passed": 2}

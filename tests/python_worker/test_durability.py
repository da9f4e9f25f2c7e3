"""What was acknowledged is there after the server was killed, and clients go on when it is back."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from python_worker.client import Unavailable, connect

from .test_command_line import Served


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(*arguments):
        started.append(Served(tmp_path, "--lm-mode", "mock", *arguments))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def test_every_acknowledged_write_survives_that_the_server_is_killed_while_it_writes(serve, database_url):
    worker = serve("--database-url", database_url)
    session = worker.client.session("ada")
    session["count"] = 0
    acknowledged = [0, 0, 0, 0]

    def write(writer):
        try:
            while True:
                session.increment("count")
                acknowledged[writer] += 1
        except Exception as error:
            return type(error)

    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, writer) for writer in range(4)]
        while sum(acknowledged) < 50:
            pass
        worker.process.kill()
        assert [each.result(timeout=60) for each in writing] == [Unavailable] * 4
    again = serve("--database-url", database_url).client.session("ada", create=False)
    # A write whose acknowledgement was on its way may have been made too.
    assert sum(acknowledged) <= again["count"] <= sum(acknowledged) + 4
    assert again.variable("count").version == again["count"] + 1


def test_reads_and_watchers_go_on_when_a_killed_server_is_back(serve):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    worker = serve("--port", str(port))
    with connect(worker.target) as client:
        session = client.session("ada")
        session["x"] = 1
        # Closed before the pool waits for its threads; told the value it has, so that it is known to listen.
        with ThreadPoolExecutor(2) as pool, session.watch("x", include_initial=True) as watching:
            assert next(watching).new == 1
            told = pool.submit(next, watching)
            worker.process.kill()
            worker.process.wait()
            reading = pool.submit(session.get_variable, "x")
            serve("--port", str(port)).client.session("ada")["x"] = 2
            assert told.result(timeout=60).new == 2
            assert reading.exception(timeout=60) is None or isinstance(reading.exception(), Unavailable)
        assert session["x"] == 2


def test_a_write_is_not_tried_twice(serve):
    worker = serve()
    session = worker.client.session("ada")
    worker.process.kill()
    worker.process.wait()
    with pytest.raises(Unavailable) as caught:
        session["x"] = 1
    assert caught.value.retryable

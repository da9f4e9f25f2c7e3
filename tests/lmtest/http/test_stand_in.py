"""The stand-in server starts, remembers, and ends."""

import asyncio
import socket
import threading

import httpx
import pytest

from lmtest.errors import ConfigurationError
from lmtest.http.server import StandIn, build_app


def get(url):
    return httpx.get(url, headers={"x-goog-api-key": "x"}, trust_env=False)


def test_it_remembers_what_arrived():
    with StandIn() as server:
        httpx.post(f"{server.url}/v1beta/models/m:countTokens?key=x", json={"contents": []}, trust_env=False)
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v1beta/models/m:countTokens")
    assert request.json == {"contents": []}


def test_it_forgets_where_told_to():
    with StandIn(keep_requests=False) as server:
        get(f"{server.url}/v1beta/models")
    assert server.requests == []


def test_two_listen_side_by_side():
    with StandIn() as one, StandIn() as other:
        assert one.port != other.port
        assert get(f"{one.url}/v1beta/models").content == get(f"{other.url}/v1beta/models").content


def test_closed_it_leaves_no_thread_and_no_listener():
    before = threading.active_count()
    with StandIn() as server:
        get(f"{server.url}/v1beta/models")
    assert threading.active_count() == before
    with pytest.raises(httpx.ConnectError):
        get(server.url)


def test_closing_twice_is_closing_once():
    server = StandIn()
    server.close()
    server.close()


def test_a_port_in_use_is_a_configuration_error_that_names_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1 port {port} \(.*in use\).*0 for any free one"):
            StandIn(port=port)


def test_an_address_of_another_machine_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match=r"192\.0\.2\.1"):
        StandIn(host="192.0.2.1")


def test_the_application_runs_without_a_socket_too():
    async def ask():
        transport = httpx.ASGITransport(app=build_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://stand-in") as client:
            return await client.get("/v1beta/models?key=x")

    assert asyncio.run(ask()).headers["x-lmtest-source"] == "stand-in"

"""What leaves the machine while a block runs, and what does not."""

import asyncio
import os
import socket
import threading

import pytest

from lmtest import NetworkBlocked, block_network


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


WAYS_OUT = {
    "connect": lambda s: s.connect(("192.0.2.1", 9)),
    "connect_ex": lambda s: s.connect_ex(("192.0.2.1", 9)),
    "sendto": lambda s: s.sendto(b"x", ("192.0.2.1", 9)),
    "sendmsg": lambda s: s.sendmsg([b"x"], [], 0, ("192.0.2.1", 9)),
}


@pytest.mark.parametrize("way", WAYS_OUT.values(), ids=WAYS_OUT)
def test_a_socket_cannot_leave_by(way):
    refused = pytest.raises(NetworkBlocked, match=r"a connection to 192\.0\.2\.1 was refused: this test runs offline")
    with socket.socket(type=socket.SOCK_DGRAM) as sock, block_network(owner="this test"), refused:
        way(sock)


LOOKUPS = {
    "getaddrinfo": lambda: socket.getaddrinfo("api.example.com", 443),
    "getaddrinfo by name": lambda: socket.getaddrinfo(host="api.example.com", port=443),
    "getaddrinfo of bytes": lambda: socket.getaddrinfo(b"api.example.com", 443),
    "gethostbyname": lambda: socket.gethostbyname("api.example.com"),
    "gethostbyname_ex": lambda: socket.gethostbyname_ex("api.example.com"),
    "gethostbyaddr": lambda: socket.gethostbyaddr("192.0.2.1"),
    "getnameinfo": lambda: socket.getnameinfo(("192.0.2.1", 443), 0),
    "getfqdn": lambda: socket.getfqdn("192.0.2.1"),
    "create_connection": lambda: socket.create_connection(("api.example.com", 443)),
}


@pytest.mark.parametrize("look_up", LOOKUPS.values(), ids=LOOKUPS)
def test_a_name_is_not_asked_for_by(look_up):
    with block_network(), pytest.raises(NetworkBlocked, match="a look-up of"):
        look_up()


def test_an_address_is_written_in_numbers_without_asking_anybody():
    with block_network():
        numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        assert socket.getnameinfo(("192.0.2.1", 443), numeric) == ("192.0.2.1", "443")
        assert socket.getnameinfo(("127.0.0.1", 443), socket.NI_NUMERICSERV)[1] == "443"


def test_asyncio_asks_for_no_name_either():
    async def ask():
        await asyncio.get_running_loop().getnameinfo(("192.0.2.1", 443))

    with block_network(), pytest.raises(NetworkBlocked):
        asyncio.run(ask())


def test_asyncio_cannot_leave_either():
    async def leave():
        await asyncio.open_connection("api.example.com", 443)

    with block_network(), pytest.raises(NetworkBlocked):
        asyncio.run(leave())


def test_another_thread_cannot_leave_either():
    caught = []

    def leave():
        try:
            socket.create_connection(("192.0.2.1", 443))
        except NetworkBlocked as error:
            caught.append(error)

    with block_network():
        thread = threading.Thread(target=leave)
        thread.start()
        thread.join()
    assert len(caught) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_this_machine_is_let_through(host, listener):
    with block_network(), socket.create_connection((host, listener.getsockname()[1])) as sock:
        assert sock.getpeername()[1] == listener.getsockname()[1]


def test_a_loopback_address_written_as_ipv6_is_let_through(listener):
    with block_network(), socket.socket(socket.AF_INET6) as sock:
        sock.connect(("::ffff:127.0.0.1", listener.getsockname()[1]))


def test_unix_sockets_are_let_through(tmp_path):
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client, block_network():
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))


def test_an_allowed_name_lets_through_the_addresses_it_resolves_to(monkeypatch):
    def resolve(host, port, *_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)  # there is no DNS to ask in a test
    with block_network(allow=["*.example.com"]), socket.socket() as sock:
        sock.setblocking(False)  # noqa: FBT003 - the name is the method's
        with pytest.raises(NetworkBlocked):
            sock.connect_ex(("192.0.2.7", 443))
        address = socket.getaddrinfo("api.example.com", 443)[0][4]
        sock.connect_ex(address)
        with pytest.raises(NetworkBlocked):
            sock.connect_ex(("192.0.2.8", 443))


def test_after_the_block_everything_is_as_it_was():
    before = socket.getaddrinfo, vars(socket.socket).get("connect"), socket.socket.connect
    with block_network(), block_network():
        assert socket.getaddrinfo is not before[0]
    assert (socket.getaddrinfo, vars(socket.socket).get("connect"), socket.socket.connect) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_inherits_the_block():
    with block_network():
        child = os.fork()
        if child == 0:
            try:
                socket.create_connection(("192.0.2.1", 443))
            except NetworkBlocked:
                os._exit(7)
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

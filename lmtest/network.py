"""No call leaves the machine while a suite is offline.

Connections are refused where Python makes them, in the ``socket`` module: every pure-Python client is covered, what
speaks from C (gRPC's core, libuv) or from another process is not. A forked child inherits the block.
"""

from __future__ import annotations

import contextlib
import fnmatch
import ipaddress
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

from lmtest.errors import NetworkBlocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LOOPBACK_NAMES: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", ""})

# Where each method's address stands among its arguments, the socket itself first.
_CONNECTS: Final = {"connect": 1, "connect_ex": 1, "sendto": -1, "sendmsg": 4}
_LOOKUPS: Final = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr")

_lock = threading.Lock()


@contextlib.contextmanager
def block_network(
    *,
    allow: Iterable[str] = (),
    owner: str = "this block",
    on_refusal: Callable[[NetworkBlocked], None] = lambda _: None,
) -> Iterator[None]:
    """Refuse every connection and name look-up to another machine, in the whole process, while the block runs.

    Loopback and unix sockets are let through.

    Args:
        allow: Hosts that are let through as well: names, patterns such as ``*.example.com``, or addresses.
        owner: Who asked for it, for the message: a test's id.
        on_refusal: Called with each error before it is raised, in the thread that tries to connect.

    Raises:
        NetworkBlocked: In whatever tries to connect.

    >>> with block_network():
    ...     socket.create_connection(("192.0.2.1", 443))
    Traceback (most recent call last):
    ...
    lmtest.errors.NetworkBlocked: ...
    """
    gate = _Gate(allow, owner, on_refusal)
    methods = {
        name: gate.connection(getattr(socket.socket, name), at=at)
        for name, at in _CONNECTS.items()
        if hasattr(socket.socket, name)
    }
    lookups = {name: gate.lookup(getattr(socket, name)) for name in _LOOKUPS}
    lookups["getnameinfo"] = gate.naming(socket.getnameinfo)
    with _patched(socket.socket, methods), _patched(socket, lookups):
        yield


class _Gate:
    """Decides which hosts are let through; what an allowed name resolves to is."""

    def __init__(self, allow: Iterable[str], owner: str, on_refusal: Callable[[NetworkBlocked], None]) -> None:
        self._allowed = tuple(host.lower() for host in allow)
        self._resolved: set[str] = set()
        self._owner = owner
        self._on_refusal = on_refusal

    def connection(self, function: Callable[..., Any], *, at: int) -> Callable[..., Any]:
        """A socket's method, behind a check of the address it is given."""

        def guarded(*args: Any) -> Any:
            target = args[at] if len(args) > at else None
            if isinstance(target, tuple) and target:
                self._check(target[0], "a connection to")
            return function(*args)

        return guarded

    def lookup(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A look-up, behind a check of the host it is given."""

        def guarded(*args: Any, **kwargs: Any) -> Any:
            host = args[0] if args else kwargs.get("host")
            name = self._check(host, "a look-up of")
            found = function(*args, **kwargs)
            if name is not None and not _stays_here(name):
                self._resolved.update(_addresses(found))
            return found

        return guarded

    def naming(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The look-up of an address's name, behind a check of the address; in numbers nobody is asked."""

        def guarded(address: Any, flags: int) -> Any:
            if isinstance(address, tuple) and address and not flags & socket.NI_NUMERICHOST:
                self._check(address[0], "a look-up of")
            return function(address, flags)

        return guarded

    def _check(self, host: object, what: str) -> str | None:
        name = host.decode() if isinstance(host, bytes) else host
        if not isinstance(name, str):
            return None  # no host at all: a wildcard, or an address family that has none
        if not _stays_here(name) and name not in self._resolved and not self._is_allowed(name.lower()):
            refusal = NetworkBlocked(
                f"{what} {name} was refused: {self._owner} runs offline. Recorded and replayed are calls of dspy.LM, "
                "of dspy.Embedder and of @lmtest.tool functions, and no others: wrap the function that calls in "
                "lmtest.tool, keep the recorder you have (its marker may stand beside lmtest's), or let the host "
                "through: "
                f"@pytest.mark.lmtest(allow_hosts=[{name!r}])"
            )
            self._on_refusal(refusal)
            raise refusal
        return name

    def _is_allowed(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self._allowed)


def _addresses(found: Any) -> set[str]:
    """The addresses in what a look-up gave: one, a triple with a list of them, or address infos."""
    if isinstance(found, str):
        return {found}
    if isinstance(found, tuple):
        return set(found[2])
    return {str(info[4][0]) for info in found}


@contextlib.contextmanager
def _patched(holder: Any, replacements: dict[str, Callable[..., Any]]) -> Iterator[None]:
    missing = object()
    with _lock:
        before = {name: vars(holder).get(name, missing) for name in replacements}
        for name, replacement in replacements.items():
            setattr(holder, name, replacement)
    try:
        yield
    finally:
        with _lock:
            for name, old in before.items():
                if old is missing:
                    delattr(holder, name)
                else:
                    setattr(holder, name, old)


def _stays_here(host: str) -> bool:
    if host.lower() in LOOPBACK_NAMES or host.lower().endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    # A connection to 0.0.0.0 or :: is one to this machine.
    return (mapped or address).is_loopback or address.is_unspecified

"""The files that make a worker safe to reach: certificates, and the list of tokens."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lmtest
from python_worker.domain.access import Grant, Tokens

if TYPE_CHECKING:
    from pathlib import Path

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """What TLS needs, as PEM.

    Attributes:
        key: The server's private key.
        chain: Its certificate, and those that vouch for it.
        client_ca: Who vouches for clients; None lets clients in without a certificate.
    """

    key: bytes
    chain: bytes
    client_ca: bytes | None = None


def read_certificates(*, certificate: Path | None, key: Path | None, client_ca: Path | None) -> Certificates | None:
    """Read the files of TLS; None where none is named.

    Raises:
        lmtest.ConfigurationError: One cannot be read, or is missing beside the other.
    """
    if not (certificate or key or client_ca):
        return None
    if not (certificate and key):
        raise lmtest.ConfigurationError("TLS needs both --tls-cert and --tls-key.")
    return Certificates(
        key=_read(key, "--tls-key"),
        chain=_read(certificate, "--tls-cert"),
        client_ca=_read(client_ca, "--tls-client-ca") if client_ca else None,
    )


def read_tokens(path: Path) -> Tokens:
    """Read the list of tokens: for each a TOML table ``[name]`` with ``sha256``.

    It may have ``sessions``, if it is only for some, and ``cassettes = true``, if it is for tests.

    Raises:
        lmtest.ConfigurationError: It cannot be read, or does not read as such a list.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(_read(path, "--tokens").decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise lmtest.ConfigurationError(f"--tokens {str(path)!r} does not parse: {error}.") from error
    if not tables:
        raise lmtest.ConfigurationError(f"--tokens {str(path)!r} has no token, and would let nobody in.")
    return Tokens(dict(_grant(name, table, path) for name, table in tables.items()))


def exposure(host: str, *, tokens: bool, certificates: Certificates | None) -> str:
    """What listening on an address would lay open to its network, and what closes it; "" where nothing.

    >>> exposure("127.0.0.1", tokens=False, certificates=None)
    ''
    """
    if _is_loopback(host):
        return ""
    if tokens and not certificates:
        return f"--tokens without TLS on {host}: whoever listens there reads them. Add --tls-cert and --tls-key"
    if not tokens and not (certificates and certificates.client_ca):
        return (
            f"--host {host} without --tokens: whoever reaches it runs programs at your cost. Add --tokens with "
            "--tls-cert and --tls-key, or --tls-client-ca"
        )
    return ""


def _grant(name: str, table: Any, path: Path) -> tuple[str, Grant]:
    digest = table.get("sha256") if isinstance(table, dict) else None
    sessions = table.get("sessions") if isinstance(table, dict) else None
    patterns = sessions if isinstance(sessions, list) else []
    cassettes = table.get("cassettes", False) if isinstance(table, dict) else False
    known = isinstance(table, dict) and table.keys() <= {"sha256", "sessions", "cassettes"}
    fits = sessions is None or (isinstance(sessions, list) and all(isinstance(each, str) for each in patterns))
    fits = fits and isinstance(cassettes, bool)
    if not known or not fits or not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise lmtest.ConfigurationError(
            f"--tokens {str(path)!r}: [{name}] needs sha256, 64 hexadecimal digits (printf %s TOKEN | sha256sum), and "
            "may have sessions, a list of ids and patterns, and cassettes, true or false; nothing else."
        )
    return digest, Grant(name=name, sessions=None if sessions is None else tuple(patterns), cassettes=cassettes)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise lmtest.ConfigurationError(f"{option} {str(path)!r} cannot be read: {error.strerror}.") from error

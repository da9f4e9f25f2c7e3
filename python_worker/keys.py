"""Ed25519 keys, in PEM files that OpenSSL reads too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import lmtest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class PrivateKey:
    """A key that signs.

    >>> key = PrivateKey.generate()
    >>> PublicKeys([key.public]).objection(b"data", public=key.public, signature=key.sign(b"data"))
    ''
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new one."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path) -> PrivateKey:
        """The one in a PEM file.

        Raises:
            lmtest.ConfigurationError: There is none.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(_read(path, "--key"), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise lmtest.ConfigurationError(f"--key {str(path)!r} does not read as a private key: {error}.") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise lmtest.ConfigurationError(
                f"--key {str(path)!r} is no Ed25519 key: make one with `python -m python_worker audit keygen FILE`."
            )
        return cls(key)

    def write(self, path: Path) -> Path:
        """Keep it in a new file that only its owner may read, and its public half beside it.

        Returns:
            The file with the public half, ``<path>.pub``.

        Raises:
            lmtest.ConfigurationError: There is such a file already, or it cannot be written.
        """
        from cryptography.hazmat.primitives import serialization as how

        private = self._key.private_bytes(how.Encoding.PEM, how.PrivateFormat.PKCS8, how.NoEncryption())
        public = self._key.public_key().public_bytes(how.Encoding.PEM, how.PublicFormat.SubjectPublicKeyInfo)
        beside = path.with_name(path.name + ".pub")
        for file, data, rights in ((beside, public, 0o644), (path, private, 0o600)):
            try:
                with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, rights), "wb") as out:
                    out.write(data)
            except OSError as error:
                raise lmtest.ConfigurationError(
                    f"{str(file)!r} cannot be made: {error.strerror}. A key is never written over."
                ) from error
        return beside

    @property
    def public(self) -> str:
        """The public key, hexadecimal."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, data: bytes) -> str:
        """The signature, hexadecimal."""
        return self._key.sign(data).hex()


class PublicKeys:
    """The keys whose signatures count.

    Args:
        keys: Hexadecimal; None takes every signature that its own key proves.
    """

    def __init__(self, keys: Iterable[str] | None) -> None:
        self._keys = None if keys is None else frozenset(keys)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> PublicKeys:
        """Those in PEM files.

        Raises:
            lmtest.ConfigurationError: One holds none.
        """
        return cls([_read_public(path) for path in paths])

    def objection(self, data: bytes, *, public: str, signature: str) -> str:
        """Why a signature proves nothing, or ""."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if not signature:
            return "it is not signed"
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), data)
        except (ValueError, InvalidSignature):
            return f"the signature is not that of key {public[:12]}…, or what was signed was changed"
        if self._keys is not None and public not in self._keys:
            given = "is not among those given" if self._keys else "needs --public-key to be proved"
            return f"it is signed by key {public[:12]}…, which {given}"
        return ""


def _read_public(path: Path) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_read(path, "--public-key"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise lmtest.ConfigurationError(
            f"--public-key {str(path)!r} does not read as a public key: {error}."
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise lmtest.ConfigurationError(f"--public-key {str(path)!r} is no Ed25519 key; `audit keygen` makes such.")
    return key.public_bytes_raw().hex()


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise lmtest.ConfigurationError(f"{option} {str(path)!r} cannot be read: {error.strerror}.") from error

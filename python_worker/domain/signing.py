"""What signing asks of keys; python_worker.keys answers with Ed25519."""

from __future__ import annotations

from typing import Protocol


class Signer(Protocol):
    """A private key."""

    @property
    def public(self) -> str:
        """The public key that proves its signatures, hexadecimal."""

    def sign(self, data: bytes) -> str:
        """The signature, hexadecimal."""


class Trust(Protocol):
    """The public keys whose signatures count."""

    def objection(self, data: bytes, *, public: str, signature: str) -> str:
        """Why a signature proves nothing, or "".

        Args:
            data: What was signed.
            public: The key that is said to have signed, hexadecimal.
            signature: Hexadecimal.
        """


class NoTrust:
    """Trusts nobody: where no key is given, nothing that is signed counts.

    >>> NoTrust().objection(b"data", public="ab12", signature="cd34")
    'no public key was given that could prove it'
    """

    def objection(self, data: bytes, *, public: str, signature: str) -> str:  # noqa: ARG002 - its contract
        """Always one."""
        return "no public key was given that could prove it"

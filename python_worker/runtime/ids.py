"""Ids that are unique without asking anybody."""

from __future__ import annotations

import uuid


def new_id(kind: str) -> str:
    """An id that tells its kind, such as ``sig_…``.

    >>> new_id("exec").startswith("exec_")
    True
    """
    return f"{kind}_{uuid.uuid4().hex}"

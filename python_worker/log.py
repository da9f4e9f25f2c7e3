"""What the worker writes to stderr: its log, what libraries log, and what programs print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

import lmtest

if TYPE_CHECKING:
    from collections.abc import Iterable


class RedactedStream:
    """A stream without the secrets of whatever is written to it.

    A stream and no formatter of logs: DSPy's log and LiteLLM's have handlers of their own, and tracebacks of threads
    and what programs print have none. A record, its traceback with it, is written at once.

    Args:
        stream: Where the rest goes.

    >>> import sys
    >>> print("Authorization: Bearer abcdefghi", file=RedactedStream(sys.stdout))
    Authorization: Bearer <redacted>
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, without secrets."""
        try:
            clean = str(lmtest.redact(text))
        except lmtest.LMTestError as error:  # the project's settings were changed meanwhile, and do not read
            clean = f"(not shown: {error})\n"
        self._stream.write(clean)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write them, one by one."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

"""The text of a signature, for errors that point into it."""

from __future__ import annotations

from python_worker.domain.errors import Position, Reason, WorkerError


class Source:
    """A text and the errors in it.

    Args:
        text: What the caller gave.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def error(self, message: str, *, line: int, column: int) -> WorkerError:
        """A ``syntax_error`` whose message holds the line with a caret under the place.

        Args:
            message: What is wrong.
            line: From 1.
            column: From 1.
        """
        lines = self.text.split("\n")
        shown = lines[line - 1].replace("\t", " ").rstrip("\r")
        return WorkerError(
            f"line {line}, column {column}: {message}\n    {shown}\n    {' ' * (column - 1)}^",
            reason=Reason.SYNTAX_ERROR,
            field="text",
            position=Position(line=line, column=column),
        )

    def error_at(self, message: str, offset: int) -> WorkerError:
        """The same, of the place so many characters into the text."""
        before = self.text[:offset]
        return self.error(message, line=before.count("\n") + 1, column=offset - before.rfind("\n"))

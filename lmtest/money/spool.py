"""Rows that their ledger could not take: kept in files beside it until it can, so that no call is lost to the books."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lmtest import disk
from lmtest.cassette.atomic import replacing
from lmtest.money.row import LedgerRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LOG: Final = logging.getLogger("lmtest")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A row that was to be entered.

    Attributes:
        claim: The call's own name, by which it is entered once, however often it is tried.
        row: The call's row; None for one that was not sent, and only gives back what it held.
        at_most: USD to hold against budgets where the row's cost is unknown.
    """

    claim: str
    row: LedgerRow | None
    at_most: Decimal | None = None

    def to_json(self) -> str:
        """Give it as one line of JSON."""
        row = None if self.row is None else self.row.to_json()
        return json.dumps({"claim": self.claim, "row": row, "at_most": self.at_most and str(self.at_most)})

    @classmethod
    def from_json(cls, text: str) -> Entry:
        """Read what `to_json` gave.

        Raises:
            ValueError: It is no such line.
        """
        said = json.loads(text)
        try:
            row, at_most = said["row"], said["at_most"]
            return cls(
                claim=said["claim"],
                row=None if row is None else LedgerRow.from_json(row),
                at_most=None if at_most is None else Decimal(at_most),
            )
        except (ArithmeticError, KeyError, TypeError) as error:
            raise ValueError(f"no entry of a ledger: {error!r}") from error


class Spool:
    """The files of one ledger.

    Args:
        directory: Where they are; it is made when there is something to keep.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def of(cls, place: Path | str, root: Path) -> Spool:
        """Beside a ledger that is a file; of one that is not, in the project.

        Args:
            place: Where the ledger is.
            root: The project's directory.

        >>> Spool.of(Path("project/.lmtest/ledger.sqlite3"), Path("project")).directory.as_posix()
        'project/.lmtest/ledger.sqlite3.spool'
        """
        if isinstance(place, Path) or "://" not in place:
            path = Path(place)
            return cls(path.with_name(f"{path.name}.spool"))
        # By a digest, because a URL may hold a password.
        return cls(root / ".lmtest" / f"ledger-{hashlib.sha256(place.encode()).hexdigest()[:12]}.spool")

    def put(self, entries: Sequence[Entry]) -> None:
        """Keep these.

        Raises:
            OSError: They cannot be kept.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with replacing(self.directory / f"{uuid.uuid4().hex}.jsonl") as file:
            file.write("".join(f"{entry.to_json()}\n" for entry in entries).encode())

    def files(self) -> Iterator[tuple[Path, list[Entry]]]:
        """Read what is kept, by file; one that does not read is put aside, with a warning."""
        if not disk.exists(self.directory):
            return
        for file in sorted(self.directory.glob("*.jsonl")):
            try:
                entries = [Entry.from_json(line) for line in disk.read(file).decode().splitlines()]
            except FileNotFoundError:
                continue  # another process has just taken it in
            except ValueError as error:
                broken = file.replace(file.with_suffix(".broken"))
                _LOG.warning(
                    "Calls that the ledger could not take were kept in %s, which does not read: %s.", broken, error
                )
                continue
            yield file, entries

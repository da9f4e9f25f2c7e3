"""Calls under way: entered before they are sent, so that each is booked, whoever is killed in between.

A call that nobody comes to settle (its process died, or its machine is silent for longer than any call lasts) is
entered as ``unsettled`` at its worst case, for it may have been sent. If it is settled after all, that row gives way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from lmtest.money.amounts import to_pico, to_usd
from lmtest.money.horizon import LEASE, SECOND, last_expiry, shorten_leases, time_of
from lmtest.money.owner import dead, is_of_this_machine
from lmtest.money.row import LedgerRow
from lmtest.money.spool import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lmtest.money.database import Connection, Rows
    from lmtest.money.ledger import Ledger
    from lmtest.money.queue import Asked

UNSETTLED: Final = "unsettled"
"""The outcome of a call of which nobody came to say what became of it."""


class UnderWay:
    """The calls under way, as one transaction sees them.

    Args:
        found: The rows that `ask` asked for.
    """

    def __init__(self, found: Rows) -> None:
        self._calls = {id_: (expires, orjson.loads(holds)) for id_, expires, holds in found}

    def holding(self, name: str) -> dict[str, int]:
        """Give what calls hold under a name, by their ids."""
        return {id_: holds[name] for id_, (_, holds) in self._calls.items() if name in holds}

    def ends(self, ids: Iterable[str]) -> int | None:
        """Give when the first of calls is settled for whoever opened it, in nanoseconds since 1970; None of none."""
        return min((self._calls[id_][0] for id_ in ids), default=None)

    def out_of_time(self, now: int) -> bool:
        """Decide if a call was not settled in time, or has more time than is ever given."""
        return any(expires <= now or expires > last_expiry(now) for expires, _ in self._calls.values())


def ask(connection: Connection) -> Rows:
    """Ask for the calls under way, see `UnderWay`."""
    return connection.execute("SELECT id, expires, holds FROM under_way")


def begin(connection: Connection, asked: Asked, holds: Mapping[str, int], now: int) -> None:
    """Enter a call that is about to be sent.

    Args:
        connection: An open transaction.
        asked: The call.
        holds: What it holds of limits meanwhile, by the name that it is held under.
        now: Nanoseconds since 1970.
    """
    row = asked.row.to_json(time=time_of(now))
    connection.execute(
        "INSERT INTO under_way (id, expires, usd, row, holds) VALUES (?, ?, ?, ?, ?)",
        (asked.id, now + int(LEASE * SECOND), to_pico(asked.estimate), row, orjson.dumps(holds).decode()),
    )


def end(connection: Connection, id_: str) -> None:
    """Put a call out, and give back what it held."""
    connection.execute("DELETE FROM under_way WHERE id = ?", (id_,))


def settle_overdue(ledger: Ledger, connection: Connection, now: int) -> None:
    """Settle the calls that nobody did in time; one of a living process of this machine may take as long as it does.

    Args:
        ledger: Where they are entered.
        connection: An open transaction of its database.
        now: Nanoseconds since 1970.
    """
    shorten_leases(connection, now)
    overdue = [id_ for (id_,) in connection.execute("SELECT id FROM under_way WHERE expires <= ?", (now,)).fetchall()]
    died = dead(overdue)
    alive = [id_ for id_ in overdue if is_of_this_machine(id_) and id_ not in died]
    renewed = now + int(LEASE * SECOND)
    connection.executemany("UPDATE under_way SET expires = ? WHERE id = ?", [(renewed, id_) for id_ in alive])
    _settle(ledger, connection, [id_ for id_ in overdue if id_ not in alive])


def settle_dead(ledger: Ledger, connection: Connection) -> bool:
    """Settle the calls of processes that are known to have died; give if there was any."""
    died = dead(id_ for (id_,) in connection.execute("SELECT id FROM under_way").fetchall())
    _settle(ledger, connection, died)
    return bool(died)


def _settle(ledger: Ledger, connection: Connection, ids: Iterable[str]) -> None:
    for id_ in ids:
        usd, row = connection.execute("SELECT usd, row FROM under_way WHERE id = ?", (id_,)).fetchone()
        ledger.enter(connection, Entry(claim=id_, row=LedgerRow.from_json(row), at_most=to_usd(usd)))

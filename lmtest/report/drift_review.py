"""A refresh, looked through call by call by whoever decides."""

from __future__ import annotations

import contextlib
import signal
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.prompt import InvalidResponse, Prompt
from rich.text import Text

from lmtest.cassette.locks import identity
from lmtest.cassette.pending import fresh_path
from lmtest.refresh.accept import carry_out_decisions
from lmtest.refresh.decisions import Decision, Decisions
from lmtest.report.drift_terminal import print_call, print_cassette

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from lmtest.cassette.interaction import Json
    from lmtest.refresh.decisions import Question
    from lmtest.refresh.result import CassetteDrift, Drift

_HELP: Final = """\
a  accept: the new recording takes the old one's place
s  skip, and so does Enter: the new recording waits for another time
r  reject: the new recording is dropped, and with it what it cost
u  undo the last answer
A  accept this and all the rest; what would lose calls is still asked about
S  skip this and all the rest
q  quit: what was decided is carried out, the rest waits; Ctrl-C and Ctrl-D carry out what was accepted alone
?  this"""
_DECISIONS: Final = {"a": Decision.ACCEPT, "s": Decision.SKIP, "r": Decision.REJECT}
_TAKES_REST: Final = {"A": Decision.ACCEPT, "S": Decision.SKIP}
_LETTERS: Final = (*_DECISIONS, "u", *_TAKES_REST, "q", "?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reviewed:
    """What came of it.

    Attributes:
        accepted: The cassettes that changed.
        interrupted: Whether whoever was asked left by Ctrl-C or Ctrl-D.
    """

    accepted: tuple[CassetteDrift, ...]
    interrupted: bool


def review(console: Console, drift: Drift, data: Json) -> Reviewed:
    """Ask about each call that moved, then carry out what was decided; calls that did not move are taken over unasked.

    Nothing is touched before the last answer. Where a request moved with an earlier answer, the calls of a cassette are
    decided together: mixed, it would miss.

    Args:
        console: Where the calls are shown and the answers are read, which is a terminal.
        drift: The refresh.
        data: The same, as :func:`lmtest.report.drift_data.as_data` gave it.

    Raises:
        CassetteError: One could not be written; those before it are told.
    """
    told = dict(zip((each.path for each in drift.cassettes), data["cassettes"], strict=True))
    waiting = [each for each in drift.cassettes if each.acceptable]
    decisions, outcome = Decisions(waiting), _Outcome(waiting, told)
    finished = interrupted = False
    with _hang_up_ends_the_input():
        try:
            finished = _Asking(console, decisions, told).ask()
        except (KeyboardInterrupt, EOFError, OSError):  # the last of a terminal that was closed
            decisions.spare()
            interrupted = True
        try:
            for cassette in waiting:
                # Who quits takes over nothing but what was accepted.
                if (decided := decisions.of(cassette)) or finished:
                    outcome.add(cassette, decided)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            # Last, for the terminal may be gone.
            with contextlib.suppress(OSError) if interrupted else contextlib.nullcontext():
                outcome.print(console, after_line=interrupted)
    return Reviewed(accepted=tuple(outcome.accepted), interrupted=interrupted)


class _Outcome:
    """Carries out decisions, and tells of it in the end."""

    def __init__(self, cassettes: Sequence[CassetteDrift], told: Mapping[Path, Json]) -> None:
        self.accepted: list[CassetteDrift] = []
        self._names = {path: each["path"] for path, each in told.items()}
        self._shown = {each.path: _writings(each) for each in cassettes}
        self._lines: list[tuple[str, str]] = []
        self._calls: Counter[Decision] = Counter()
        self._unmoved = 0

    def add(self, cassette: CassetteDrift, decided: Mapping[int, Decision]) -> None:
        """Carry out what was decided about a cassette, unless it was written meanwhile."""
        name = self._names[cassette.path]
        if _writings(cassette) != self._shown[cassette.path]:
            told = f"left: {name}: it was written while you decided; lmtest accept shows what waits now"
            self._lines.append((told, "yellow"))
            return
        if carry_out_decisions(cassette, decided):
            self.accepted.append(cassette)
            self._lines.append((f"accepted: {name}", ""))
        self._calls.update(decided.values())
        self._unmoved += not decided

    def print(self, console: Console, *, after_line: bool) -> None:
        """Tell what was carried out, in a line of its own where the prompt's is not ended."""
        if after_line:
            console.print()
        for line, style in self._lines:
            console.print(line, style=style or None, soft_wrap=True)
        words = ((Decision.ACCEPT, "accepted"), (Decision.SKIP, "skipped"), (Decision.REJECT, "rejected"))
        told = ", ".join(f"{self._calls[decision]} {word}" for decision, word in words if self._calls[decision])
        unmoved = f"; {self._unmoved} cassette{'' if self._unmoved == 1 else 's'} taken over that did not move"
        console.print(f"Calls: {told or 'none decided'}{unmoved if self._unmoved else ''}.", style="bold")


class _Asking:
    """Asks the questions in order, and goes back."""

    def __init__(self, console: Console, decisions: Decisions, told: Mapping[Path, Json]) -> None:
        self._console, self._decisions, self._told = console, decisions, told
        self._shown: CassetteDrift | None = None

    def ask(self) -> bool:
        """Ask until all is decided; False where somebody quits before."""
        while True:
            place = self._decisions.open
            if place is None:
                if not self._decisions.drops or self._confirmed():
                    return True
                continue
            self._show(self._decisions.questions[place])
            letter = self._letter(f"{place + 1} of {len(self._decisions.questions)}: accept, skip or reject?")
            if letter == "q":
                if not self._decisions.drops or self._confirmed():
                    return False
            elif letter == "u":
                self._undo()
            elif letter in _TAKES_REST:
                self._decisions.decide_rest(_TAKES_REST[letter])
            else:
                self._decisions.decide(_DECISIONS[letter])

    def _undo(self) -> None:
        if not self._decisions.undo():
            self._console.print("Nothing is decided yet, so nothing can be undone.", style="yellow")
        self._shown = None

    def _confirmed(self) -> bool:
        """Ask once more before what was paid for is dropped."""
        count = self._decisions.drops
        question = f"{count} new recording{'' if count == 1 else 's'} will be dropped: yes, no (wait on), or undo?"
        letter = _Letters.ask(Text(question), choices=["y", "n", "u"], default="n", console=self._console)
        if letter == "n":
            self._decisions.spare()
        elif letter == "u":
            self._undo()
        return letter != "u"

    def _letter(self, question: str) -> str:
        while (letter := _Letters.ask(Text(question), choices=[*_LETTERS], default="s", console=self._console)) == "?":
            self._console.print(_HELP)
        return letter

    def _show(self, question: Question) -> None:
        told = self._told[question.cassette.path]
        if question.cassette is not self._shown:
            print_cassette(self._console, told)
            self._shown = question.cassette
        if question.together:
            self._console.print(
                f"Its {len(question.cassette.calls)} calls hang together, for a request differs too: they are decided "
                f"together.{' Accepting loses what is no longer asked.' if question.loses else ''}",
            )
        for place in question.places:
            print_call(self._console, told["calls"][place])


class _Letters(Prompt):
    """Rich's prompt, which says what an unknown answer could have been."""

    prompt_suffix = " "

    def process_response(self, value: str) -> str:
        try:
            return super().process_response(value)
        except InvalidResponse:
            known = ", ".join(self.choices or ())
            raise InvalidResponse(Text(f"Not an answer: {value.strip()!r}. One of {known}.", style="yellow")) from None


@contextlib.contextmanager
def _hang_up_ends_the_input() -> Iterator[None]:
    """Let a terminal that is closed end the input, as Ctrl-D does, and not the process with what was decided."""
    if not hasattr(signal, "SIGHUP"):
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before or signal.SIG_DFL)


def _writings(cassette: CassetteDrift) -> tuple[Any, Any]:
    return identity(cassette.path), identity(fresh_path(cassette.path))

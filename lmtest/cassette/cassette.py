"""An open cassette: what it plays, what it records, what was asked of it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from lmtest.cassette import blobs, pending, store
from lmtest.cassette.assembled import merged
from lmtest.cassette.atomic import expect_writable
from lmtest.cassette.fingerprint import Rules
from lmtest.cassette.index import Index
from lmtest.cassette.interaction import STAND_IN, Usage, is_embedding
from lmtest.cassette.keys import keys_of
from lmtest.cassette.lengths import Lengths
from lmtest.cassette.locks import identity
from lmtest.cassette.player import Player
from lmtest.cassette.unrecorded import KEEP_FAILURES, unrecorded
from lmtest.errors import CassetteExhausted, CassetteMiss, CassetteNotFound, CassetteUnsaved, LimitError
from lmtest.here import here
from lmtest.modes import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lmtest.cassette.index import Entry
    from lmtest.cassette.interaction import Header, Interaction, Json
    from lmtest.cassette.keys import Keyed
    from lmtest.cassette.player import Taken
    from lmtest.cassette.redact import Redactor

Hit = Literal["live", "cassette", "mock"]
LIVE: Final = "live"
PLAYED: Final = "cassette"
MOCKED: Final = "mock"
ABANDONED: Final = "abandoned"
"""How a call failed that its program gave up after it was sent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One call that was answered while a cassette was open.

    Attributes:
        key: The request's key.
        model: The model that was asked; "" where a tool was called.
        hit: Who answered: ``cassette``, ``live`` or ``mock``.
        usage: Tokens as the provider counted, or had counted, them.
        cost: USD this call cost: 0 when it was played or made up, None where its price is unknown. Of a live call that
            a stand-in answered, the list price, so that programs and budgets behave as they would live.
        worth: USD a live call would have cost; for a live call the same as ``cost``.
        latency: Seconds it took; of a played call, the seconds it took when it was recorded.
        provider: Who answered, or had.
        failed: The provider's error code, or what the tool raised, when the call failed; ``abandoned`` when its program
            gave it up.
        price_version: The price list that its cost is from, of a live call.
        dspy_cost: USD by DSPy's own estimate, of a live call, where it has one.
        cassette: The file, where there is one.
        tool: The tool that was called; "" where a model was asked.
        digest: SHA-256 of the recording that was played, as `lmtest.recordings` tells it; "" where none was.
        recorded_at: When that was recorded, ISO 8601.
    """

    key: str
    model: str
    hit: Hit
    usage: Usage
    cost: Decimal | None
    worth: Decimal | None
    latency: float | None
    provider: str | None = None
    failed: str | None = None
    price_version: str | None = None
    dspy_cost: Decimal | None = None
    cassette: Path | None = None
    tool: str = ""
    digest: str = ""
    recorded_at: str | None = None

    @property
    def spent(self) -> Decimal | None:
        """USD that was charged for it: 0 where a stand-in answered; None where the price is unknown."""
        return Decimal(0) if self.provider == STAND_IN else self.cost

    @property
    def estimated(self) -> bool:
        """True where it was answered live and nobody counted its tokens: budgets hold it at its estimate."""
        return self.hit == LIVE and self.cost is None and self.usage == Usage()


class Cassette:
    """An open cassette, as ``use_cassette`` hands it out. Safe to use from several threads.

    Attributes:
        path: The file, or None where nothing is read or written.
        mode: How calls are answered.
        run: The run that records.
        advice: Says of a missed request, by its key, where else it is recorded, and what takes it from there; "" where
            nobody knows.

    Args:
        path: The file.
        mode: How calls are answered.
        rules: What does not matter to a request.
        redactor: What takes secrets out of requests and answers.
        repeat_last: Whether asking beyond the last recording of a request gets the last one again.
        record_failures: Whether failures of the provider are recorded.
        may_be_absent: Whether replay may open without a file, and complain only when something is asked of it.
        command: The command that records this cassette, for messages.
        run: The run that records: what it recorded into the file at another opening is kept.
        versions: Of lmtest and dspy, as they run now.

    Raises:
        CassetteNotFound: The mode is replay and there is no file.
        CassetteFormatError: The file does not read as a cassette.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        mode: Mode,
        redactor: Redactor,
        rules: Rules = Rules(),  # noqa: B008 - frozen
        repeat_last: bool = False,
        record_failures: bool = False,
        may_be_absent: bool = False,
        command: str = "LM_MODE=record pytest",
        run: str = "",
        versions: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.path = path
        self.mode = mode
        self.advice: Callable[[str], str] = lambda _: ""
        self._keys = keys_of(rules, redactor)
        self._redactor = redactor
        self._record_failures = record_failures
        self._command = command
        self.run = run
        self._versions = versions
        self._lengths: Lengths | None = None
        self._begin()
        # In auto the file is added to whoever wrote it, so which writing it was does not matter.
        self._opened = identity(path) if path is not None and mode is Mode.RECORD else None
        self._player = None
        self._may_be_absent = may_be_absent
        may_be_absent = may_be_absent or mode is Mode.AUTO
        if mode in {Mode.REPLAY, Mode.AUTO} and path is not None and not (may_be_absent and not path.exists()):
            self._player = self._open_player(path, repeat_last=repeat_last)

    def _begin(self) -> None:
        """Begin with nothing asked."""
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._misses: list[CassetteMiss | CassetteNotFound] = []
        self._refused: list[tuple[str, LimitError]] = []
        self._unkept: list[Interaction] = []
        self._merged: list[str] = []
        self._fresh: list[Interaction] = []
        self._sources: set[str] = set()
        self._closed = threading.Event()
        self._under_way: dict[object, Callable[[], None]] = {}
        self._media: dict[str, bytes] = {}
        self._goes_on = False
        self._beside = 0
        self._unwell = False

    def __repr__(self) -> str:
        return f"<Cassette {str(self.path)!r}, mode {self.mode.value}, {len(self.calls)} answered>"

    # ── what a test looks at ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call answered so far, in order of its answer."""
        with self._lock:
            return tuple(self._calls)

    @property
    def played(self) -> tuple[Call, ...]:
        """The calls answered from the file."""
        return tuple(call for call in self.calls if call.hit == PLAYED)

    @property
    def recorded(self) -> tuple[Interaction, ...]:
        """What this run recorded; it is in the file once the scope has ended well."""
        with self._lock:
            return tuple(self._fresh)

    @property
    def source(self) -> str:
        """The hosts that answered what this run recorded."""
        with self._lock:
            return ", ".join(sorted(self._sources))

    @property
    def missed(self) -> tuple[CassetteMiss | CassetteNotFound, ...]:
        """The requests that were not recorded, whether or not the program caught the error."""
        with self._lock:
            return tuple(self._misses)

    @property
    def refused(self) -> tuple[LimitError, ...]:
        """What limits said to live calls that were not answered later, whether or not the program caught it."""
        with self._lock:
            return tuple(error for _, error in self._refused)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why what was recorded may replay otherwise than it went, or went otherwise than its provider meant."""
        with self._lock:
            return (*unrecorded(self._unkept), *self._merged)

    @property
    def unplayed(self) -> tuple[Entry, ...]:
        """The recordings nobody asked for, when replaying."""
        return self._player.unplayed if self._player is not None else ()

    @property
    def cost(self) -> Decimal:
        """USD of live calls whose price is known; of those that a stand-in answered, too, at list price."""
        return sum((call.cost for call in self.calls if call.cost is not None), Decimal(0))

    # ── several blocks, one cassette ─────────────────────────────────────────────────────────────────────────────────

    def part(self) -> Cassette:
        """Give one of several blocks this cassette: it plays on from where the others are, and sees its calls alone.

        What is asked and recorded there comes here by :meth:`take_in`.
        """
        part = object.__new__(Cassette)
        vars(part).update(vars(self))
        part._begin()
        return part

    def take_in(self, part: Cassette, *, recordings: bool = True) -> None:
        """Take over what was asked of a part, and what it recorded unless that is not wanted."""
        with part._lock, self._lock:
            self._calls += part._calls
            self._misses += part._misses
            self._refused += part._refused
            if recordings:
                self._fresh += part._fresh
                self._unkept += part._unkept
                self._merged += part._merged
                self._sources |= part._sources
                self._media |= part._media

    # ── what answerers do with it ────────────────────────────────────────────────────────────────────────────────────

    def normalise(self, request: Json) -> tuple[str, Json]:
        """Give a request's key and its normal form, which is what is stored."""
        return self._keyed(lambda: request)[:2]

    def likely_output(self, request: Json) -> int | None:
        """Tokens that an answer is likely to have at most, by what a refresh is to record anew; None where unknown."""
        if self.mode is not Mode.REFRESH or self.path is None:
            return None
        if self._lengths is None:
            self._lengths = Lengths.recorded_in(self.path)
        key, normal = self.normalise(request)
        return self._lengths.most(key, normal["model"])

    def find(self, request: Json) -> Interaction | None:
        """Give the next recorded outcome for a request, or None where there is none (left).

        An embedding is also put together from others that hold its texts.

        Raises:
            CassetteFormatError: The recording does not read.
            CassetteTampered: One of its blobs is missing or was altered.
        """
        keyed = self._keyed(lambda: request)
        if (taken := self._next(keyed, lambda: request)) is not None:
            return taken.read()
        if self._player is None or not is_embedding(keyed.normal):
            return None
        return self._player.gather(keyed.key, keyed.normal)

    def play(self, request: Json) -> Interaction:
        """Give the next recorded outcome for a request, with the errors of :meth:`take` and :meth:`find`."""
        return self.take(lambda: request).read()

    def take(self, request: Callable[[], Json], *, exactly: bytes | None = None) -> Taken:
        """Take the next recorded outcome for a request, without reading it.

        Args:
            request: Gives the request.
            exactly: What no other request has, where it is known at less cost than the request.

        Raises:
            CassetteNotFound: There is no file, and there might not have been.
            CassetteMiss: It is not recorded.
            CassetteExhausted: It was asked for more often than it was recorded.
        """
        keyed = self._keyed(request, exactly)
        if (taken := self._next(keyed, request, exactly)) is not None:
            return taken
        if self._player is None:
            miss: CassetteMiss | CassetteNotFound = self._not_found(keyed.key)
        else:
            keys = (keyed.key, *(each.key for each in self._keys.older(request, exactly=exactly)))
            key = next(filter(self._player.recorded, keys), keyed.key)
            miss = self._miss(self._player, key, keyed.normal)
        with self._lock:
            self._misses.append(miss)
        raise miss

    def _next(self, keyed: Keyed, request: Callable[[], Json], exactly: bytes | None = None) -> Taken | None:
        """The next recording of a request: by its key, or by one that it had when less was known for a secret."""
        if self._player is None:
            return None
        if (taken := self._player.take(keyed.key, keyed.normal)) is not None:
            return taken
        older = (each for each in self._keys.older(request, exactly=exactly) if each.key != keyed.key)
        found = (self._player.take(each.key, each.normal) for each in older)
        return next((taken for taken in found if taken is not None), None)

    def ended(self, interaction: Interaction) -> CassetteMiss:
        """Keep that more is asked of a call than it had given when it was recorded and given up; give the error."""
        received = len(interaction.said)
        before = f"after {received} events of its stream" if received else "before its answer came"
        miss = CassetteMiss(
            f"{self.where}: when this call was recorded, it was given up {before} (key {interaction.key[:12]}), and "
            f"now more is asked of it. Record it again: {self._command}",
            key=interaction.key,
            path=self.path,
            command=self._command,
        )
        if not self._closed.is_set():  # else its program has ended, and left a thread behind
            with self._lock:
                self._misses.append(miss)
        return miss

    def _keyed(self, request: Callable[[], Json], exactly: bytes | None = None) -> Keyed:
        keyed = self._keys.of(request, exactly=exactly)
        if keyed.media and self.mode.writes:
            with self._lock:
                self._media |= keyed.media
        return keyed

    def record(self, interaction: Interaction, *, source: str) -> None:
        """Keep what came of a live call, until :meth:`save`.

        Args:
            interaction: The call and its outcome.
            source: The host that answered, or "" where it was a tool.
        """
        if not self.mode.writes:
            return
        if interaction.failed and not self._record_failures and self.mode is not Mode.REFRESH:
            with self._lock:
                self._unkept.append(interaction)
            return
        kept = interaction.saying(self._kept, whole=self._redactor.streamed)
        with self._lock:
            self._fresh.append(kept)
            self._merged += merged(kept)
            self._sources |= {source} - {""}

    def tried_again(self, failed: Sequence[Interaction]) -> None:
        """Keep that failures were those of a call that was answered then: its program never saw them."""
        with self._lock:
            self._unkept = [each for each in self._unkept if not any(each is other for other in failed)]

    def note(self, call: Call) -> None:
        """Keep that a call was answered."""
        with self._lock:
            self._calls.append(call)
            self._refused = [(key, error) for key, error in self._refused if key != call.key]

    @contextmanager
    def under_way(self, give_up: Callable[[], None]) -> Iterator[None]:
        """Keep that a live call is under way inside.

        Args:
            give_up: Writes it down as given up; called if the cassette closes first.
        """
        key = object()
        with self._lock:
            self._under_way[key] = give_up
        try:
            yield
        finally:
            with self._lock:
                self._under_way.pop(key, None)

    def give_up(self) -> None:
        """Write down the live calls that are still under way as the cassette closes: nobody waits for them any more."""
        self._closed.set()
        with self._lock:
            left, self._under_way = list(self._under_way.values()), {}
        for give_up in left:
            give_up()

    def wait(self, seconds: float) -> None:
        """Wait so many seconds, or until the cassette closes."""
        self._closed.wait(seconds)

    @contextmanager
    def limited(self, request: Json) -> Iterator[None]:
        """Keep that a limit refused a live call inside."""
        try:
            yield
        except LimitError as error:
            key, _ = self.normalise(request)
            with self._lock:
                self._refused.append((key, error))
            raise

    def expect_writable(self) -> None:
        """See that what is to be recorded can be saved, before anybody is paid for it.

        Raises:
            CassetteUnsaved: It cannot.
        """
        if self.path is None or not self.mode.writes:
            return
        try:
            expect_writable(self.path)
        except OSError as error:
            raise CassetteUnsaved(
                f"{self.where} could not be saved: {error.strerror or error}. The call was not sent, because what it "
                "would record would be lost. Give the right to write there, or name another place.",
                path=self.path,
            ) from error

    def keep_others(self) -> None:
        """Have :meth:`save` add to the file there is, by request, as it adds to what this run recorded before.

        For a file that others play from as well, who do not record now.

        Raises:
            CassetteFormatError: The file does not read, so nothing could be added.
        """
        self._opened = None
        if self.path is not None and self.path.exists():
            Index(self.path)

    def keep_pending(self) -> None:
        """In a refresh, add to what an earlier one recorded beside the file, as :meth:`keep_others` does to the file.

        Raises:
            CassetteFormatError: The file does not read.
            CassetteUnsaved: It cannot be noted that this run adds to it.
        """
        if self.path is not None and self.mode is Mode.REFRESH:
            pending.adopt(self.path, run=self.run)

    def go_on(self) -> None:
        """In a refresh, play what an earlier one recorded for this cassette before it was interrupted.

        For tests that share a cassette which is open for all of them: in the middle, nobody can tell by its file which
        calls are whose. Where it was not interrupted, everything goes live.
        """
        if self.mode is Mode.REFRESH and self.path is not None and pending.is_begun(self.path, self.run):
            self._player, self._goes_on = Player(Index(pending.fresh_path(self.path))), True

    @property
    def plays_first(self) -> bool:
        """Whether what is recorded is played, and only the rest goes live."""
        return self.mode is Mode.AUTO or self._goes_on

    def keep_so_far(self, header: Header, *, well: bool) -> None:
        """In a refresh, write beside the cassette what was recorded since the last time; the rest follows.

        For tests that share a cassette which is open for all of them: whoever is killed then has paid for one test at
        most. That they have ended, only :meth:`save` writes down.

        Args:
            header: The first document.
            well: Whether the test passed that recorded it.

        Raises:
            CassetteUnsaved: It could not be written.
        """
        if self.mode is Mode.REFRESH and self.path is not None and self.path.exists():
            self._save_beside(self.path, self._clean(header), ended_well=well, goes_on=True)

    def pass_over(self) -> None:
        """In a refresh, leave what was recorded since the last time: its test was cut short, and runs again."""
        with self._lock:
            self._beside = len(self._fresh)

    def save(self, header: Header) -> None:
        """Write what was recorded in the file's place; without a recording the file stays as it is.

        Where nothing was called and there is no file, one of a header alone is written, so that nothing replays too:
        but for a file that may be absent, which replays without one.

        What this run recorded into it before is kept, and all of it after :meth:`keep_others`. In ``auto`` it is added
        to the file. In ``refresh`` it is written beside it, see :mod:`lmtest.cassette.pending`.

        Raises:
            CassetteUnsaved: It could not be written; the old file is whole.
        """
        fresh = self.recorded
        if self.mode is Mode.REFRESH and self.path is not None:
            # A test that called nothing has ended, too.
            if fresh or (header.test and self.path.exists()):
                self._save_beside(self.path, self._clean(header), ended_well=True)
        elif self.path is not None and (fresh or self._holds_nothing):
            header = self._clean(header)
            beyond = self.mode is Mode.AUTO  # which asks nobody for what is there
            media = self._media_of(fresh)
            known = [entry.key for entry in self._player.index.entries] if self._player is not None else []
            store.save(
                self.path, header, fresh, opened=self._opened, run=self.run, beyond=beyond,
                known=known if beyond else None, media=media,
            )  # fmt: skip

    @property
    def _holds_nothing(self) -> bool:
        """Whether that nothing was called is what there is to record."""
        recording = self.mode in {Mode.RECORD, Mode.AUTO} and not self._may_be_absent
        return recording and not self.calls and self.path is not None and not self.path.exists()

    def keep_failed(self, header: Header) -> None:
        """After a refresh that did not end well, write what was recorded where it is read but never accepted.

        Raises:
            CassetteUnsaved: It could not be written.
        """
        if self.mode is not Mode.REFRESH or self.path is None:
            return
        if self.recorded or pending.fresh_path(self.path).exists():
            self._save_beside(self.path, self._clean(header), ended_well=False)

    def _save_beside(self, path: Path, header: Header, *, ended_well: bool, goes_on: bool = False) -> None:
        further = goes_on or self._beside > 0 or self._goes_on
        fresh = self.recorded[self._beside :]
        count = len(fresh)
        fresh = fresh if self._record_failures else pending.without_retried(fresh)
        answered = self._record_failures or not any(each.failed for each in fresh)
        well = ended_well and answered and (goes_on or not self._unwell)
        header = replace(header, test=None) if goes_on and well else header
        media = self._media_of(fresh)
        pending.save(path, header, fresh, well=well, run=self.run, media=media, further=further)
        self._beside += count
        self._unwell = self._unwell or not well

    def _clean(self, header: Header) -> Header:
        """A header without secrets: whoever opens a cassette by hand may name any test, and execute anything."""
        test = None if header.test is None else self._redactor.text(header.test)
        return replace(header, test=test, executed=self._redactor.value(header.executed))

    def _media_of(self, interactions: Iterable[Interaction]) -> dict[str, bytes]:
        return {name: self._media[name] for each in interactions for name in blobs.of(each)}

    def _kept(self, value: Any) -> Any:
        """An answer as it is kept: without secrets, and with its media beside it."""
        detached, media = blobs.detach(value, self._redactor.media)
        with self._lock:
            self._media |= media
        return self._redactor.value(detached)

    # ── misses ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _open_player(self, path: Path, *, repeat_last: bool) -> Player:
        try:
            return Player(Index(path), repeat_last=repeat_last)
        except CassetteNotFound:
            raise self._not_found() from None

    @property
    def where(self) -> str:
        """The file as a person in the working directory would name it, or the mode of one that has none."""
        if self.path is None:
            return f"(mode {self.mode.value})"
        return str(here(self.path))

    def _not_found(self, key: str = "") -> CassetteNotFound:
        advice = self.advice(key) if key else ""
        told = f"\n\n{advice}\nElse record it: " if advice else " Record it: "
        return CassetteNotFound(
            f"there is no cassette {self.where} to replay.{told}{self._command}{self._maybe_failed}",
            path=self.path,
            command=self._command,
        )

    def _miss(self, player: Player, key: str, normal: Json) -> CassetteMiss:
        times = player.recorded(key)
        if times:
            return CassetteExhausted(
                f"{self.where}: this request is recorded {times} time{'s' if times != 1 else ''} and was asked for "
                f'once more (key {key[:12]}). Allow it with repeat="last", or record it again: {self._command}'
                f"{self._maybe_failed}",
                key=key,
                path=self.path,
                command=self._command,
            )
        from lmtest.cassette.miss import nearest, render  # late: most runs miss nothing

        index = player.index
        near = nearest(normal, index, unplayed=self.unplayed, clean=self._redactor.value)
        told = "\n\n".join(render(one) for one in near) or "Nothing is recorded in it."
        advice = f"{found}\n" if (found := self.advice(key)) else ""
        asked = f"request to {normal['model']}" if "model" in normal else f"call of the tool {normal.get('tool')!r}"
        return CassetteMiss(
            f"{self.where}: this {asked} is not recorded (key {key[:12]}; "
            f"{len(index.entries)} recorded, {len(self.unplayed)} of them unplayed).\n\n"
            f"The nearest recorded request{'s' if len(near) > 1 else ''}, [-recorded-]{{+asked+}}:\n\n{told}\n\n"
            f"{self._moved_versions(index.header)}{advice}To record it: {self._command}{self._maybe_failed}",
            key=key,
            path=self.path,
            nearest=near,
            command=self._command,
        )

    @property
    def _maybe_failed(self) -> str:
        """A line for a call that was made when this was recorded, and failed: nothing in the file tells of it."""
        if self._record_failures:
            return ""
        return f"\nIf its provider failed then, and the program went on: {KEEP_FAILURES}."

    def _moved_versions(self, header: Header) -> str:
        """A line when the versions moved since the recording: they change prompts without anybody's doing."""
        then = {"dspy": header.dspy, "lmtest": header.lmtest}
        moved = [
            f"{name} was {then[name]}, is {now}"
            for name, now in self._versions.items()
            if then.get(name) not in {None, now}
        ]
        return f"Since it was recorded: {'; '.join(moved)}.\n" if moved else ""

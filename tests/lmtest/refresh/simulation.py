"""Nights of a suite whose provider rewords, changes, fails, slows and dies by seed; refreshes are interrupted, too.

Each night is `lmtest refresh` in a process of its own, whose tests run in another, at the time that the night has.
"""

from __future__ import annotations

import json
import os
import random
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lmtest.cassette.index import Index
from lmtest.cassette.pending import cassette_of, is_pending, unfinished
from lmtest.cli.exits import Exit
from lmtest.http import gemini
from lmtest.lm.answers import MOCK_ID, Answer
from lmtest.refresh.plan import Choice, make_plan

OLDER_THAN = 13
"""Days after which a recording is due again."""

DAY = 86_400
_MODULE = 25
_SHARED = 3
_BROKEN = 0.01
_WAYS = (("reworded", 0.08), ("changed", 0.05), ("503", 0.03), ("429", 0.02), ("malformed", 0.02), ("slow", 0.02))

_CLOCK = """\
import os
from lmtest import clock
real, ahead = clock._machine.wall, float(os.environ["NIGHT_AHEAD"])
clock._machine.wall = lambda: real() + ahead
"""

_COMMAND = "import moved_clock\nfrom lmtest.cli import main\nmain()\n"

_CONFTEST = """\
import moved_clock
import os
import dspy
import pytest

@pytest.fixture(autouse=True)
def lm():
    arguments = {"api_base": os.environ["NIGHT_BASE"], "num_retries": 0, "max_tokens": 60}
    with dspy.context(lm=dspy.LM("gemini/gemini-2.5-flash", **arguments)):
        yield
"""

_TESTS = """\
import dspy
import pytest

ask = dspy.Predict("question -> answer: str, n: int")

@pytest.mark.lmtest
@pytest.mark.parametrize("name", {own!r})
def test_own(name):
    assert ask(question=f"{{name}}?").answer

@pytest.mark.lmtest("shared/{module}")
@pytest.mark.parametrize("name", {shared!r})
def test_shared(name):
    assert ask(question=f"{{name}}?").answer
"""


class Provider(ThreadingHTTPServer):
    """Speaks Gemini's protocol; what becomes of a question is drawn by seed, night and question."""

    daemon_threads = True

    def __init__(self, seed, broken):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seed, self.broken, self.night = seed, broken, 0
        self.asked, self.good, self.answered = [], [], 0
        self.dies_at, self.interrupts_at, self.interrupt = None, None, None
        self._lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1beta"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def begin(self, night, *, dies_at=None, interrupts_at=None, interrupt=None):
        self.night, self.asked, self.good, self.answered = night, [], [], 0
        self.dies_at, self.interrupts_at, self.interrupt = dies_at, interrupts_at, interrupt

    def way(self, name):
        """What becomes of a question tonight."""
        if self.night == 0:
            return "same"
        if name in self.broken:
            return "malformed"
        drawn = random.Random(f"{self.seed}-{self.night}-{name}").random()
        for way, part in _WAYS:
            drawn -= part
            if drawn < 0:
                return way
        return "same"

    def answer(self, name):
        """The status and the text of an answer; what was good of it is noted as paid for."""
        with self._lock:
            self.asked.append(name)
            number = len(self.asked)
            if self.interrupts_at == number:
                self.interrupt(name)
            if self.dies_at is not None and number > self.dies_at:
                return 500, ""
            way = self.way(name)
            if way.isdigit():
                return int(way), ""
            self.answered += 1
            if way != "malformed":
                self.good.append(name)
        if way == "slow":
            time.sleep(0.2)
        if way == "malformed":
            return 200, "I would rather not say."
        said = "it is  PARIS!" if way == "reworded" else "It is Paris"
        number = self.night + 3 if way == "changed" else 3
        return 200, f"[[ ## answer ## ]]\n{said}\n\n[[ ## n ## ]]\n{number}\n\n[[ ## completed ## ]]"


class _Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True

    def do_POST(self):
        asked = gemini.read_request(self.rfile.read(int(self.headers["content-length"])), gemini.GenerateContentRequest)
        prompts = asked.prompts()
        name = re.search(r"(q\d+)\?", prompts[0].turns[-1][1])[1]
        status, text = self.server.answer(name)
        if status == 200:
            answers = [Answer(id=f"{MOCK_ID}night", text=text)]
            body = gemini.whole_body("gemini-2.5-flash", prompts, answers)
        else:
            body = {"error": {"code": status, "status": "UNAVAILABLE", "message": "no"}}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content)
        except ConnectionError:
            pass  # whoever asked was interrupted

    def log_message(self, *_):
        pass


@dataclass
class Night:
    """What became of one night."""

    number: int
    code: int
    expected: int
    interrupted: str
    asked: int
    good: list[str]
    failed: list[str]
    under_way: str | None
    waiting: int
    seconds: float
    wrong: list[str] = field(default_factory=list)


class Simulation:
    """A project and its nights.

    Args:
        root: An empty directory.
        cassettes: How many.
        seed: What everything is drawn by.
        part: How much of all a night's budget holds.
    """

    def __init__(self, root, *, cassettes, seed, part=Decimal("0.1")):
        self.root, self.random = root, random.Random(seed)
        self.modules = self._modules(cassettes)
        self.names = [name for own, shared in self.modules for name in own + shared]
        broken = self.random.sample([name for own, _ in self.modules for name in own], max(1, int(cassettes * _BROKEN)))
        self.provider = Provider(seed, frozenset(broken))
        self.nights = []
        self.paid = defaultdict(list)
        self.lost = set()
        self.refreshed = {}
        self._write()
        self.budget = self._record(part)

    # ── the project ──────────────────────────────────────────────────────────────────────────────────────────────────

    @staticmethod
    def _modules(cassettes):
        """The questions of each module's own cassettes, and those of the one that three tests share."""
        count, modules, number = max(1, cassettes // _MODULE), [], 0
        for module in range(count):
            own = cassettes // count + (module < cassettes % count) - 1
            names = [f"q{each}" for each in range(number, number + own + _SHARED)]
            modules.append((names[:own], names[own:]))
            number += own + _SHARED
        return modules

    def _write(self):
        files = {"pyproject.toml": "[tool.pytest.ini_options]\n", "moved_clock.py": _CLOCK, "nightly.py": _COMMAND}
        files["conftest.py"] = _CONFTEST
        for number, (own, shared) in enumerate(self.modules):
            files[f"test_m{number}.py"] = _TESTS.format(own=own, shared=shared, module=f"m{number}")
        for name, text in files.items():
            (self.root / name).write_text(text)

    def _environ(self, night, **more):
        ours = ("LM_MODE", "TEST_MODE", "CI", "LMTEST_RUN", "LMTEST_LEDGER", "LMTEST_DEFAULT_LIMITS", "GITHUB_ACTIONS")
        kept = {name: value for name, value in os.environ.items() if name not in ours and "PYTEST" not in name}
        # No night begins at the very minute of the one before.
        ahead = str(night * DAY + random.Random(night).randint(-1800, 1800))
        return kept | {"NIGHT_AHEAD": ahead, "NIGHT_BASE": self.provider.url, "GEMINI_API_KEY": "k" * 12} | more

    def _record(self, part):
        self.provider.begin(0)
        environ = self._environ(-OLDER_THAN - 1, LM_MODE="record", LMTEST_USD_PER_RUN="none")
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q"], cwd=self.root, env=environ, check=True, capture_output=True
        )
        plan = make_plan([self.root / "cassettes"], Choice(), root=self.root)
        # The last call that a budget lets through may cost what it sets aside, and costs a part of it.
        return plan.usd * part + plan.due[0].least

    # ── a night ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, number):
        """Refresh what is due, as the nightly job does, and look at what it left."""
        tonight = random.Random(f"{self.random.random()}")
        turn, tenth = tonight.random(), max(2, len(self.names) // 10)
        interrupted = "SIGINT" if turn < 0.12 else "SIGKILL" if turn < 0.24 else "dead" if turn < 0.30 else ""
        at = tonight.randint(2, tenth)
        begun, under_way = time.perf_counter(), []
        command = ["refresh", "--all", "--older-than", f"{OLDER_THAN}d", "--skip-pending", "--yes"]
        command += ["--budget", f"{self.budget:f}", "--accept", "wording", "--fail-on", "changed"]
        process = None

        def interrupt(name):
            under_way.append(name)
            ready.wait()
            process.send_signal(getattr(signal, interrupted))

        ready = threading.Event()
        signalled = interrupted.startswith("SIG")
        self.provider.begin(
            number,
            dies_at=at if interrupted == "dead" else None,
            interrupts_at=at if signalled else None,
            interrupt=interrupt,
        )
        with (self.root / "night.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "nightly.py", *command],
                cwd=self.root,
                env=self._environ(number),
                stdout=log,
                stderr=log,
            )
            ready.set()
            children = self._until_over(process)
        for child in children:  # of one that was killed, the test under way ends
            select.select([child], [], [], 120)
            os.close(child)
        code = process.returncode
        reached = bool(under_way)
        night = Night(
            number=number,
            code=code,
            expected=self._expected(interrupted if reached or not signalled else ""),
            interrupted=interrupted if reached or interrupted == "dead" else "",
            asked=len(self.provider.asked),
            good=list(self.provider.good),
            failed=sorted({*self.provider.asked} - {*self.provider.good}),
            under_way=self.provider.asked[-1] if reached else None,
            waiting=len(list(self._waiting())),
            seconds=time.perf_counter() - begun,
        )
        self._look(night)
        self.nights.append(night)
        return night

    def _until_over(self, process):
        """Wait for a process; give what its children are, for whoever is killed waits for none."""
        children = {}
        while process.poll() is None:
            try:
                for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                    if pid not in children:
                        children[pid] = os.pidfd_open(int(pid))
            except (FileNotFoundError, ProcessLookupError):
                pass
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        return list(children.values())

    def _waiting(self):
        return (path for path in (self.root / "cassettes").rglob("*.new.yaml"))

    def _expected(self, interrupted):
        """The exit code, by what the provider did."""
        if interrupted == "SIGINT":
            return Exit.INTERRUPTED
        if interrupted == "SIGKILL":
            return -signal.SIGKILL
        if self.provider.asked and not self.provider.answered and not self._changed():
            return Exit.UNANSWERED
        if self._bad() or self._changed():
            return Exit.FOUND
        return Exit.LIMIT if "Stopped early" in self._log() else Exit.DONE

    def _bad(self):
        """The questions whose test did not pass, but for one that a limit cut short before DSPy asked once more."""
        cut = re.findall(r"\[(q\d+)\].yaml: stopped by the limit", self._log())
        return {*self.provider.asked} - {*self.provider.good, *cut}

    def _log(self):
        return (self.root / "night.log").read_text()

    def _changed(self):
        """Whether something waits that moved further than its wording."""
        return any(not unfinished(cassette_of(path)) for path in self._waiting())

    # ── what must hold ───────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self, night):
        night.wrong += [*self._told(night), *self._files(night), *self._paid_twice(night)]

    def _told(self, night):
        """Every red thing is red: in the exit code, and in the sum."""
        if night.code != night.expected:
            yield f"exit code {night.code} where {night.expected} was due: {self._log()[-3000:]}"
        if "Traceback" in self._log():
            yield f"a traceback: {self._log()[-3000:]}"
        told = re.search(r"tests?: .*?(\d+) failed", self._log())
        if night.code in {Exit.FOUND, Exit.LIMIT, Exit.DONE} and len(self._bad()) != (int(told[1]) if told else 0):
            yield f"{sorted(self._bad())} failed, and the sum says {told and told[0]}: {self._log()[-1500:]}"

    def _files(self, night):
        """Every file is whole."""
        for path in (self.root / "cassettes").rglob("*.yaml"):
            index = Index(path)
            calls = [index.read(entry) for entry in index.entries]
            if not calls:
                yield f"{path.name} is empty"
            if path.name.endswith(".failed.yaml") or (is_pending(path) and unfinished(cassette_of(path))):
                continue
            for call in calls:
                name = re.search(r"(q\d+)\?", str(call.request["messages"][-1]))[1]
                if datetime.fromisoformat(call.recorded_at).timestamp() > time.time() - DAY:
                    self.refreshed.setdefault(name, night.number)

    def _paid_twice(self, night):
        """Whoever was answered well is not asked again before its cassette is due, but where Ctrl-C came in the middle.

        A cassette that tests share is due as a whole, by the oldest call in it.
        """
        together = {name: shared for _, shared in self.modules for name in shared}
        last = {name: nights[-1] for name, nights in self.paid.items()}
        for name in night.good:
            before = min((last[each] for each in together.get(name, [name]) if each in last), default=None)
            kept = name in last and (last[name], name) not in self.lost
            if kept and night.number - before < OLDER_THAN - 1:
                yield f"{name} was paid for on night {last[name]} and again on night {night.number}"
            self.paid[name].append(night.number)
        if night.interrupted == "SIGINT":
            self.lost.add((night.number, night.under_way))

    def morning(self):
        """Somebody takes over what waits, as a pull request is merged."""
        ran = subprocess.run(
            [sys.executable, "nightly.py", "accept", "--tier", "all"], cwd=self.root, env=self._environ(0),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode in {Exit.DONE, Exit.FOUND}, ran.stdout + ran.stderr

    def late(self, nights=12):
        """The questions that were not refreshed within so many nights, but for those that the provider failed then."""
        failed = {name for night in self.nights[:nights] for name in night.failed}
        return [name for name in self.names if self.refreshed.get(name, nights + 1) > nights and name not in failed]

    def never(self):
        """The questions that were not refreshed at all, but for those that the provider never answers."""
        return [name for name in self.names if name not in self.refreshed and name not in self.provider.broken]

    def is_whole(self):
        """Whether `lmtest verify` finds nothing."""
        ran = subprocess.run(
            [sys.executable, "nightly.py", "verify"], cwd=self.root, env=self._environ(0),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return ran.returncode == 0, ran.stdout + ran.stderr

"""The broker between programs that call tools and the clients that serve them."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import FIRST_COMPLETED, Future, wait
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.tool import ToClient, Tool, ToolCall, ToolCallCancelled, ToolsRegistered
from python_worker.runtime.ids import new_id
from python_worker.runtime.tool_schema import check_parameters, problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from python_worker.domain.value import Fields, Value


class ToolRefused(Exception):
    """What a tool has to say against a call: an observation for the model."""


class ToolLost(BaseException):
    """A tool that cannot answer ends the run.

    Not an ``Exception``: ReAct would show it to the model, and go on at its cost.

    Attributes:
        error: Why.
    """

    def __init__(self, error: WorkerError) -> None:
        super().__init__(error.message)
        self.error = error


class ToolClient:
    """One client, for as long as it serves. What it is told waits in a queue.

    Args:
        broker: Whose.
    """

    def __init__(self, broker: ToolBroker) -> None:
        self._broker = broker
        self._outbox: queue.SimpleQueue[ToClient | None] = queue.SimpleQueue()
        self._calls: dict[str, Future[Value]] = {}
        self._lock = threading.Lock()
        self._registered = self._closed = False
        self._error: WorkerError | None = None

    def register(self, session: str, tools: Sequence[Tool]) -> None:
        """Serve tools to a session's executions, or to everybody's where it is "".

        Raises:
            WorkerError: ``invalid_argument``, ``already_exists``, or ``not_found``: no such session.
        """
        self._broker.add(self, session, tools)
        self._registered = True
        self._outbox.put(ToolsRegistered(tools=tuple(tool.name for tool in tools)))

    def answer(self, call_id: str, outcome: Value | ToolRefused) -> None:
        """Take an answer; one that nobody waits for any more is not heard.

        Raises:
            WorkerError: ``invalid_argument``: it serves nothing yet, so it was asked nothing.
        """
        if not self._registered:
            raise WorkerError(
                f"an answer to {call_id!r} before any tool is registered: send register first, and answer the calls "
                "that come after registered.",
                reason=Reason.INVALID_ARGUMENT,
                field="answer",
            )
        with self._lock:
            future = self._calls.pop(call_id, None)
        if future is None:
            return
        if isinstance(outcome, ToolRefused):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def messages(self) -> Iterator[ToClient]:
        """What the client is told, until it is closed.

        Raises:
            WorkerError: What it was closed for.
        """
        while (message := self._outbox.get()) is not None:
            yield message
        if self._error:
            raise self._error

    def close(self, error: WorkerError | None = None) -> None:
        """Take its tools away; calls under way fail at once.

        Args:
            error: What it did wrong.
        """
        with self._lock:
            if self._closed:
                return
            self._closed, self._error = True, error
            left, self._calls = self._calls, {}
        self._broker.remove(self)
        for future in left.values():
            future.set_exception(
                _lost("the client that serves it went away before it answered; serve it again with client.serve_tools")
            )
        self._outbox.put(None)

    def ask(self, call: ToolCall) -> Future[Value]:
        """Send a call."""
        future: Future[Value] = Future()
        with self._lock:
            if self._closed:
                future.set_exception(_lost("the client that served it has gone"))
                return future
            self._calls[call.id] = future
        self._outbox.put(call)
        return future

    def cancel(self, call_id: str) -> None:
        """Tell that nobody waits for an answer any more."""
        with self._lock:
            known = self._calls.pop(call_id, None)
        if known is not None:
            self._outbox.put(ToolCallCancelled(id=call_id))


class ToolBroker:
    """Knows which client serves which tool.

    Args:
        check_session: Raises where there is no such session.
        most: How many clients may serve at once.
    """

    def __init__(self, *, check_session: Callable[[str], object], most: int) -> None:
        self._check_session = check_session
        self._most = most
        self._clients: set[ToolClient] = set()
        self._served: dict[tuple[str, str], tuple[ToolClient, Tool]] = {}
        self._running = 0
        self._draining = False
        self._lock = threading.Lock()

    def connect(self) -> ToolClient:
        """Take a client.

        Raises:
            WorkerError: ``limit``, or ``unavailable``: the worker is shutting down.
        """
        with self._lock:
            if self._draining:
                message = "the worker is shutting down and takes no more tools."
                raise WorkerError(message, reason=Reason.UNAVAILABLE, retryable=True)
            if len(self._clients) >= self._most:
                raise WorkerError(
                    f"{self._most} clients serve tools already, as many as may: each holds a thread. Serve several "
                    "tools over one stream, or start the worker with a higher --max-tool-clients.",
                    reason=Reason.LIMIT,
                )
            client = ToolClient(self)
            self._clients.add(client)
        return client

    def add(self, client: ToolClient, session: str, tools: Sequence[Tool]) -> None:
        """Let a client serve tools, all of them or none.

        Raises:
            WorkerError: ``invalid_argument``, ``already_exists``, or ``not_found``: no such session.
        """
        if session:
            self._check_session(session)
        for tool in tools:
            tool.check()
            check_parameters(tool)
        with self._lock:
            names = [tool.name for tool in tools]
            taken = next((name for name in names if (session, name) in self._served or names.count(name) > 1), None)
            if taken is not None:
                whose = f"session {session!r}" if session else "everybody"
                raise WorkerError(
                    f"a tool {taken!r} is served to {whose} already: choose another name, or end the client that "
                    "serves it.",
                    reason=Reason.ALREADY_EXISTS,
                    field="tools.name",
                )
            if client in self._clients:
                self._served |= {(session, tool.name): (client, tool) for tool in tools}

    def remove(self, client: ToolClient) -> None:
        """Forget a client and its tools."""
        with self._lock:
            self._clients.discard(client)
            self._served = {name: served for name, served in self._served.items() if served[0] is not client}

    def find(self, session: str, name: str) -> Tool:
        """The tool of that name as an execution of a session sees it: the session's own before everybody's.

        Raises:
            WorkerError: ``tool_failure``: nobody serves it now.
        """
        return self._serving(session, name)[1]

    def call(
        self, session: str, name: str, arguments: Fields, *, execution_id: str, timeout: float, ended: Future[None]
    ) -> Value:
        """Have a tool called, and wait for its answer.

        Args:
            session: Whose execution calls.
            name: The tool.
            arguments: By name.
            execution_id: The execution.
            timeout: Seconds that the execution has left; the tool's own limit holds too.
            ended: Done when the execution has ended.

        Raises:
            ToolRefused: What the tool says against it, or what its schema says.
            WorkerError: ``tool_failure``: nobody serves it, its client went away or took too long.
        """
        client, tool = self._serving(session, name)
        if wrong := problems(tool, arguments):
            raise ToolRefused(f"invalid arguments: {wrong}")
        seconds = min(tool.timeout, timeout)
        deadline = datetime.now(UTC) + timedelta(seconds=seconds)
        call = ToolCall(id=new_id("call"), tool=name, arguments=arguments, execution_id=execution_id, deadline=deadline)
        answer = client.ask(call)
        either: set[Future[Any]] = {answer, ended}
        wait(either, timeout=max(0.0, seconds), return_when=FIRST_COMPLETED)
        if answer.done():
            try:
                return answer.result()
            except WorkerError as error:
                raise _lost(error.message, name) from None
        client.cancel(call.id)
        raise _lost("the execution ended before it answered" if ended.done() else f"no answer in {seconds:g} s", name)

    def begun(self) -> None:
        """Count an execution that may call tools."""
        with self._lock:
            self._running += 1

    def ended(self) -> None:
        """Count it out; while the worker is stopping, the last one lets the clients go."""
        with self._lock:
            self._running -= 1
        self._close_if_idle()

    def drain(self) -> None:
        """Take no more clients, and let go those there are once no execution may call them."""
        with self._lock:
            self._draining = True
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        with self._lock:
            idle = list(self._clients) if self._draining and self._running == 0 else []
        for client in idle:
            client.close()

    def _serving(self, session: str, name: str) -> tuple[ToolClient, Tool]:
        with self._lock:
            found = self._served.get((session, name)) or self._served.get(("", name))
            known = sorted({tool for whose, tool in self._served if whose in {session, ""}})
        if found is None:
            listed = ", ".join(known) or "none"
            raise _lost(f"no client serves it now (served: {listed}). Serve it with client.serve_tools", name)
        return found


def _lost(what: str, name: str = "") -> WorkerError:
    message = f"tool {name!r}: {what}." if name else what
    return WorkerError(message, reason=Reason.TOOL_FAILURE, retryable=True)

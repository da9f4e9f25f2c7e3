"""The tools of one execution: found by their names, recorded like model calls, and told to the model."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

import lmtest
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.value import canonical_json
from python_worker.runtime.tools import ToolLost

if TYPE_CHECKING:
    from collections.abc import Sequence

    import dspy

    from python_worker.domain.stage import ToolUse
    from python_worker.domain.value import Value
    from python_worker.runtime.imports import Imports
    from python_worker.runtime.tools import ToolBroker

LOOK_UP = "python_worker.look_up_tool"
"""What a look-up is called in a cassette. It is recorded because a tool's description stands in the prompt: a replay
needs it, and not the client that gave it."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Where executions get their tools from.

    Attributes:
        broker: Those that clients serve.
        imports: Those that are Python's.
    """

    broker: ToolBroker
    imports: Imports

    def open(self, names: Sequence[str], *, session: str, execution_id: str, deadline: float) -> Toolbox:
        """The tools of an execution; close it when that has ended.

        Args:
            names: As the program's config has them.
            session: Whose execution, or "".
            execution_id: The execution.
            deadline: Its own, on ``time.monotonic``'s clock.
        """
        return Toolbox(self, tuple(names), session=session, execution_id=execution_id, deadline=deadline)


class Toolbox:
    """The tools of one execution. Made by ``Tools.open``."""

    def __init__(
        self, tools: Tools, names: tuple[str, ...], *, session: str, execution_id: str, deadline: float
    ) -> None:
        self._broker, self._imports = tools.broker, tools.imports
        self._names = names
        self._session, self._execution_id, self._deadline = session, execution_id, deadline
        self._ended: Future[None] = Future()
        if names:
            self._broker.begun()

    def dspy_tools(self) -> tuple[dspy.Tool, ...]:
        """The tools as ReAct takes them. Call it inside the execution's language model scope.

        Raises:
            WorkerError: ``tool_failure``: nobody serves one; ``permission_denied`` or ``configuration``: one does not
                import; or two have one name.
            lmtest.CassetteMiss: What a client said of its tool is not recorded.
        """
        made = tuple(self._imported(name) if ":" in name else self._served(name) for name in self._names)
        names = [str(tool.name) for tool in made]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise WorkerError(
                f"two tools of the program are called {twice!r}: rename one.",
                reason=Reason.CONFIGURATION,
                field="config.tools",
            )
        return made

    def told(self, uses: Sequence[ToolUse]) -> tuple[ToolUse, ...]:
        """The calls of tools for the trail: look-ups left out, and live answers by who gave them."""
        served = {name for name in self._names if ":" not in name}
        return tuple(
            replace(use, hit=("client" if use.tool in served else "python")) if use.hit == "live" else use
            for use in uses
            if use.tool != LOOK_UP
        )

    def close(self) -> None:
        """The execution has ended: calls under way are cancelled."""
        if self._names and not self._ended.done():
            self._ended.set_result(None)
            self._broker.ended()

    def _served(self, name: str) -> dspy.Tool:
        import dspy

        from python_worker.runtime.observing import Observing

        look_up: Any = lmtest.tool(self._look_up, name=LOOK_UP, mock=self._look_up)
        spec = look_up(name)

        def call(**arguments: Any) -> Any:
            return self._call(name, arguments)

        properties = spec["parameters"].get("properties", {})
        # What the arguments must be is for the broker to say, by the whole schema.
        inner = dspy.Tool(call, name=name, desc=spec["description"], args={each: {} for each in properties})
        return Observing.of(lmtest.tool(inner), args=properties)

    def _imported(self, path: str) -> dspy.Tool:
        import dspy

        from python_worker.runtime.observing import Observing

        found = self._imports.load(path, field="config.tools")
        if not (callable(found) or isinstance(found, dspy.Tool)):
            raise WorkerError(
                f"{path!r} is of type {type(found).__name__}, and a tool is a function or a dspy.Tool.",
                reason=Reason.CONFIGURATION,
                field="config.tools",
            )
        return Observing.of(lmtest.tool(found if isinstance(found, dspy.Tool) else dspy.Tool(found)))

    def _look_up(self, name: str) -> dict[str, Any]:
        tool = self._broker.find(self._session, name)
        return {"name": tool.name, "description": tool.description, "parameters": _plain(tool.parameters)}

    def _call(self, name: str, arguments: dict[str, Value]) -> Any:
        try:
            answer = self._broker.call(
                self._session,
                name,
                arguments,
                execution_id=self._execution_id,
                timeout=self._deadline - time.monotonic(),
                ended=self._ended,
            )
        except WorkerError as error:
            raise ToolLost(error) from error
        return _plain(answer)


def _plain(value: Any) -> Any:
    """A value as JSON says it: times, tensors and media in their JSON form."""
    return orjson.loads(canonical_json(value))

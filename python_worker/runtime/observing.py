"""A tool whose errors are answers. Imports DSPy: import it late."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

import dspy
import pydantic

import lmtest
from python_worker.domain.errors import WorkerError
from python_worker.runtime.failures import told
from python_worker.runtime.tools import ToolRefused

if TYPE_CHECKING:
    from collections.abc import Callable


class Observing(dspy.Tool):  # type: ignore[misc, unused-ignore]
    """Says what went wrong in a sentence, where ReAct would show a traceback with the worker's paths to the model."""

    _inner: Callable[..., Any] = pydantic.PrivateAttr()

    @classmethod
    def of(cls, tool: dspy.Tool, *, args: dict[str, Any] | None = None) -> Self:
        """The tool, observed.

        Args:
            tool: What checks and converts its arguments, and answers.
            args: What the model is told of the arguments, where not what the tool says.
        """
        shown = tool.args if args is None else args
        made = cls(tool.func, name=tool.name, desc=tool.desc, args=shown, arg_types=tool.arg_types)
        made._inner = tool
        return made

    def __call__(self, **arguments: Any) -> Any:
        """Call the tool, or say what went wrong."""
        try:
            return self._inner(**arguments)
        except lmtest.ToolError as error:
            said = told(error)
        except (lmtest.LMTestError, WorkerError):
            raise
        except ToolRefused as error:
            said = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is an observation
            said = told(error)
        return f"Execution error in {self.name}: {said}"

    async def acall(self, **arguments: Any) -> Any:
        """Call the tool without holding up the event loop."""
        return await asyncio.to_thread(self, **arguments)

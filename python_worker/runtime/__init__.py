"""Runs programs: DSPy modules, the adapters that say where, and the stages of an execution."""

from python_worker.runtime.actions import Actions
from python_worker.runtime.adapter import Adapter, Outcome, Task
from python_worker.runtime.adapters import Adapters
from python_worker.runtime.builtin_actions import builtin_actions
from python_worker.runtime.executor import Executor
from python_worker.runtime.imports import Imports
from python_worker.runtime.inline import InlineAdapter
from python_worker.runtime.lms import LMs, LMScope
from python_worker.runtime.lmtest_lms import LmtestLMs
from python_worker.runtime.mocked import MockAdapter
from python_worker.runtime.modules import Modules
from python_worker.runtime.program_catalogue import ProgramCatalogue
from python_worker.runtime.repeats import Repeats
from python_worker.runtime.running import Running
from python_worker.runtime.service import ExecutionService
from python_worker.runtime.shelf import Shelf
from python_worker.runtime.signature_catalogue import SignatureCatalogue
from python_worker.runtime.toolbox import Tools
from python_worker.runtime.tools import ToolBroker

__all__ = [
    "Actions",
    "Adapter",
    "Adapters",
    "ExecutionService",
    "Executor",
    "Imports",
    "InlineAdapter",
    "LMScope",
    "LMs",
    "LmtestLMs",
    "MockAdapter",
    "Modules",
    "Outcome",
    "ProgramCatalogue",
    "Repeats",
    "Running",
    "Shelf",
    "SignatureCatalogue",
    "Task",
    "ToolBroker",
    "Tools",
    "builtin_actions",
]

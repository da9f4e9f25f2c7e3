"""Runs programs: DSPy modules, the adapters that say where, and the stages of an execution."""

from python_worker.runtime.adapter import Adapter, Outcome, Task
from python_worker.runtime.adapters import Adapters
from python_worker.runtime.catalogue import Catalogue
from python_worker.runtime.executor import Executor
from python_worker.runtime.inline import InlineAdapter
from python_worker.runtime.lms import LMs, LMScope
from python_worker.runtime.lmtest_lms import LmtestLMs
from python_worker.runtime.mocked import MockAdapter
from python_worker.runtime.repeats import Repeats
from python_worker.runtime.running import Running
from python_worker.runtime.service import ExecutionService

__all__ = [
    "Adapter",
    "Adapters",
    "Catalogue",
    "ExecutionService",
    "Executor",
    "InlineAdapter",
    "LMScope",
    "LMs",
    "LmtestLMs",
    "MockAdapter",
    "Outcome",
    "Repeats",
    "Running",
    "Task",
]

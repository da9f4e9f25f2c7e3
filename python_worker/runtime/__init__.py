"""Runs programs: DSPy modules, the adapters that say where, and the stages of an execution."""

from python_worker.runtime.adapter import Adapter, Outcome, Task
from python_worker.runtime.catalogue import Catalogue
from python_worker.runtime.executor import Executor
from python_worker.runtime.inline import InlineAdapter
from python_worker.runtime.lms import LMs, LMScope
from python_worker.runtime.lmtest_lms import LmtestLMs

__all__ = ["Adapter", "Catalogue", "Executor", "InlineAdapter", "LMScope", "LMs", "LmtestLMs", "Outcome", "Task"]

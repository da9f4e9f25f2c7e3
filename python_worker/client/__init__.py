"""What a Python caller of a worker uses."""

from python_worker.extra import needed_by

with needed_by("python_worker's client"):
    from python_worker.client.aio import AsyncClient, AsyncSession, connect_async
    from python_worker.client.client import Client, connect
    from python_worker.client.errors import (
        AlreadyExists,
        BudgetExceeded,
        CallStopped,
        CassetteExhausted,
        CassetteMiss,
        CassetteNotFound,
        CassetteTampered,
        InvalidValue,
        NotFound,
        RateLimited,
        StaleVersion,
        Unavailable,
        VariableNotFound,
    )
    from python_worker.client.order import Order
    from python_worker.client.session import RemoteSession
    from python_worker.domain.action import Action
    from python_worker.domain.errors import Reason, WorkerError
    from python_worker.domain.execution import Execution, ExecutionStatus
    from python_worker.domain.execution_event import Started, StatusText, Token
    from python_worker.domain.program import Format, ProgramConfig
    from python_worker.domain.session import SessionLimits, SessionLM

__all__ = [
    "Action",
    "AlreadyExists",
    "AsyncClient",
    "AsyncSession",
    "BudgetExceeded",
    "CallStopped",
    "CassetteExhausted",
    "CassetteMiss",
    "CassetteNotFound",
    "CassetteTampered",
    "Client",
    "Execution",
    "ExecutionStatus",
    "Format",
    "InvalidValue",
    "NotFound",
    "Order",
    "ProgramConfig",
    "RateLimited",
    "Reason",
    "RemoteSession",
    "SessionLM",
    "SessionLimits",
    "StaleVersion",
    "Started",
    "StatusText",
    "Token",
    "Unavailable",
    "VariableNotFound",
    "WorkerError",
    "connect",
    "connect_async",
]

"""What a Python caller of a worker uses."""

from python_worker.client.aio import AsyncClient, AsyncSession, connect_async
from python_worker.client.client import Client, connect
from python_worker.client.errors import InvalidValue, NotFound, StaleVersion, Unavailable, VariableNotFound
from python_worker.client.session import RemoteSession
from python_worker.domain.errors import Reason, WorkerError
from python_worker.domain.program import Format, ProgramConfig
from python_worker.domain.session import SessionLimits, SessionLM

__all__ = [
    "AsyncClient",
    "AsyncSession",
    "Client",
    "Format",
    "InvalidValue",
    "NotFound",
    "ProgramConfig",
    "Reason",
    "RemoteSession",
    "SessionLM",
    "SessionLimits",
    "StaleVersion",
    "Unavailable",
    "VariableNotFound",
    "WorkerError",
    "connect",
    "connect_async",
]

"""What sessions, variables and watchers may do: rules above storage, below the wire."""

from python_worker.state.hub import Hub
from python_worker.state.sessions import SessionPolicy, SessionService
from python_worker.state.variables import Setting, VariableService
from python_worker.state.watcher import Watcher

__all__ = ["Hub", "SessionPolicy", "SessionService", "Setting", "VariableService", "Watcher"]

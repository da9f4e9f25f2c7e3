"""The gRPC server: messages in, messages out; nothing is decided here."""

from python_worker.extra import needed_by

with needed_by("python_worker's server"):
    from python_worker.rpc.admission import Admission
    from python_worker.rpc.server import RpcServer
    from python_worker.rpc.servicer import WorkerServicer
    from python_worker.rpc.state_servicer import StateServicer

__all__ = ["Admission", "RpcServer", "StateServicer", "WorkerServicer"]

"""The server: a port, the service, the standard health service, and reflection where it is asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from python_worker.domain.errors import Reason, WorkerError
from python_worker.rpc.auth import AuthInterceptor
from python_worker.rpc.interceptor import ErrorInterceptor
from python_worker.v1 import worker_pb2, worker_pb2_grpc
from python_worker.wire.owner import MOST_METADATA

if TYPE_CHECKING:
    from python_worker.domain.access import Tokens
    from python_worker.rpc.servicer import WorkerServicer
    from python_worker.rpc.state_servicer import StateServicer
    from python_worker.security import Certificates

SERVICES = tuple(service.full_name for service in worker_pb2.DESCRIPTOR.services_by_name.values())

_OPTIONS = (
    # By default two servers may share a port on Linux, and a client would meet one or the other.
    ("grpc.so_reuseport", 0),
    # A watcher may be idle for days: its connection is proved alive both ways, and a dead one gives its thread back.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
)


class RpcServer:
    """Serves until it is stopped. A process that holds one must not fork.

    Args:
        servicer: The methods of programs.
        state: The methods of sessions.
        host: The address to listen on.
        port: 0 takes a free one.
        threads: How many calls are handled at once, open streams among them.
        most_bytes: How big a message may be.
        reflection: Whether clients may ask for the contract itself.
        keepalive: Seconds after which an idle connection is asked whether it lives, and that it has for an answer.
        certificates: For TLS; None serves in the clear.
        tokens: Who may do what; None asks nobody.

    Raises:
        WorkerError: ``configuration``: the port cannot be had.
    """

    def __init__(
        self,
        servicer: WorkerServicer,
        *,
        state: StateServicer,
        host: str,
        port: int,
        threads: int,
        most_bytes: int,
        reflection: bool,
        keepalive: tuple[float, float] = (30.0, 10.0),
        certificates: Certificates | None = None,
        tokens: Tokens | None = None,
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="rpc")
        # gRPC refuses without a detail, so it is let in twice what is taken; what is sent is measured beforehand.
        sizes = (("grpc.max_receive_message_length", 2 * most_bytes), ("grpc.max_send_message_length", -1))
        # gRPC takes 8 KiB of a call's metadata, and drops some calls that have more.
        metadata = (("grpc.max_metadata_size", MOST_METADATA), ("grpc.absolute_max_metadata_size", 2 * MOST_METADATA))
        alive = (
            ("grpc.keepalive_time_ms", round(keepalive[0] * 1000)),
            ("grpc.keepalive_timeout_ms", round(keepalive[1] * 1000)),
            # gRPC measures a connection's bandwidth by pings as well, and waits a minute for these.
            ("grpc.http2.ping_timeout_ms", round(keepalive[1] * 1000)),
        )
        interceptors = [ErrorInterceptor(most_bytes=most_bytes), *([AuthInterceptor(tokens)] if tokens else [])]
        self._server = grpc.server(self._pool, interceptors=interceptors, options=_OPTIONS + sizes + metadata + alive)
        worker_pb2_grpc.add_WorkerServicer_to_server(servicer, self._server)
        worker_pb2_grpc.add_StateServicer_to_server(state, self._server)
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if reflection:
            _add_reflection(self._server)
        try:
            self.port = _listen(self._server, f"{host}:{port}", certificates)
        except RuntimeError as error:
            message = f"port {port} on {host} cannot be had: another process may hold it; --port 0 takes a free one."
            raise WorkerError(message, reason=Reason.CONFIGURATION) from error

    def start(self) -> None:
        """Take calls, and say so to whoever asks for health."""
        self._server.start()
        self.tell_health(serving=True)

    def tell_health(self, *, serving: bool) -> None:
        """Say to whoever asks for health whether calls can be answered."""
        answer = health_pb2.HealthCheckResponse
        for service in ("", *SERVICES):
            self._health.set(service, answer.SERVING if serving else answer.NOT_SERVING)

    def stop(self, *, grace: float) -> None:
        """Refuse new calls, and wait for those under way.

        Args:
            grace: Seconds after which they are ended as cancelled.
        """
        self._health.enter_graceful_shutdown()
        self._server.stop(grace).wait()
        self._pool.shutdown(wait=True)  # a call that was ended still has to store how


def _listen(server: grpc.Server, address: str, certificates: Certificates | None) -> int:
    if certificates is None:
        return server.add_insecure_port(address)
    credentials = grpc.ssl_server_credentials(
        [(certificates.key, certificates.chain)],
        root_certificates=certificates.client_ca,
        require_client_auth=certificates.client_ca is not None,
    )
    return server.add_secure_port(address, credentials)


def _add_reflection(server: grpc.Server) -> None:
    from grpc_reflection.v1alpha import reflection

    names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)

"""How a client's connection behaves: what it retries, how big messages may be, how it stays alive."""

from __future__ import annotations

import json

MOST_BYTES = 32 * 1024 * 1024
"""How big a message may be, unless the worker was told otherwise."""

_READS = ("GetSession", "TouchSession", "ListSessions", "GetVariable", "ListVariables", "GetHistory", "GetVariables")

# Only what may be done twice without harm: a write whose answer was lost may have been made.
_RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": "python_worker.v1.State", "method": method} for method in _READS],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}

OPTIONS: list[tuple[str, str | int]] = [
    ("grpc.service_config", json.dumps(_RETRIES)),
    # What is sent is measured beforehand, and what comes is as big as the worker lets it be.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # gRPC would share connections, and their pauses after a failure, among all clients of a process: a new client of a
    # worker that is back would be told that it is away.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # An idle watcher's connection is proved alive; the worker permits a ping every 10 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
]
"""For a channel, sync or asyncio. Retries stay within each call's deadline."""


def bearer(token: str | None) -> tuple[tuple[str, str], ...] | None:
    """The metadata that a token travels in.

    >>> bearer("secret")
    (('authorization', 'Bearer secret'),)
    """
    return None if token is None else (("authorization", f"Bearer {token}"),)

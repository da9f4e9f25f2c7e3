"""A stand-in provider on a local port: the real Gemini protocol, made-up answers.

It is how a program reaches a "live" model without a key, a bill or the internet. Every response carries the header
``x-lmtest-source: stand-in``, so that nobody takes it for Google's.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from lmtest import clock
from lmtest.cassette.interaction import STAND_IN
from lmtest.errors import ConfigurationError, LMTestError
from lmtest.http import gemini
from lmtest.lm.answers import write_answer

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import Route
except ModuleNotFoundError as missing:
    raise ConfigurationError(
        f"the stand-in server needs {missing.name!r}, which is not installed: pip install 'lmtest[http]'"
    ) from missing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from starlette.requests import Request

_ANY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True, kw_only=True)
class Received:
    """A request that arrived, for tests that assert what a program sent.

    Attributes:
        method: ``GET`` or ``POST``.
        path: The path without its query, such as ``/v1beta/models/gemini-2.5-flash:generateContent``.
        body: The body's bytes.
    """

    method: str
    path: str
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class StandIn:
    """A stand-in provider that listens until it is closed.

    >>> with StandIn() as server:
    ...     server.url.startswith("http://127.0.0.1:")
    True

    Args:
        host: The address to listen on.
        port: The port, or 0 for a free one.
        keep_requests: Whether `requests` remembers what arrived; off for a server that runs for long.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, keep_requests: bool = True) -> None:
        self.requests: list[Received] = []
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
        config = uvicorn.Config(
            build_app(self.requests.append if keep_requests else None),
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=3,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name="lmtest stand-in", daemon=True)
        self._thread.start()
        self._server.decided.wait()
        if not self._server.started:
            self.close()
            raise LMTestError(f"the stand-in server did not start on {self.url}; its log says why")

    def stop(self) -> None:
        """Ask it to end, from a signal handler or another thread; `wait` returns when it has."""
        self._server.should_exit = True

    def wait(self) -> None:
        """Wait until it has ended."""
        self._thread.join()

    def close(self) -> None:
        """End it; calls under way get three seconds."""
        self.stop()
        self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                runner.run(self._server.serve(sockets=[self._socket]))
        finally:
            self._socket.close()
            self._server.decided.set()


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose timers a test that stops the clock does not stop: without them the server never ends."""

    def time(self) -> float:
        return clock.seconds()


class _Server(uvicorn.Server):
    """uvicorn's server, with an event for "it runs, or never will"."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.decided = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.decided.set()


def build_app(received: Callable[[Received], None] | None = None) -> Starlette:
    """The stand-in as an ASGI application.

    Args:
        received: Called with each request that arrives.
    """
    models: Sequence[tuple[str, str, Callable[[Request, bytes], Response]]] = (
        ("", "GET", _list_models),
        ("/{model}:{method}", "POST", _call_model),
        ("/{model}", "GET", _get_model),
    )
    routes = [
        # google-genai speaks v1, everyone else v1beta; what they share is alike.
        Route(f"/{version}/models{path}", _endpoint(handle, received), methods=[method])
        for version in ("v1", "v1beta")
        for path, method, handle in models
    ]
    return Starlette(routes=[*routes, Route("/{path:path}", _endpoint(_not_found, received), methods=_ANY_METHOD)])


def _endpoint(
    handle: Callable[[Request, bytes], Response], received: Callable[[Received], None] | None
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        if received is not None:
            received(Received(method=request.method, path=request.url.path, body=body))
        try:
            gemini.check_key(request.headers.get("x-goog-api-key") or request.query_params.get("key"))
            response = handle(request, body)
        except gemini.GeminiError as error:
            response = JSONResponse(error.body, status_code=error.code)
        response.headers["x-lmtest-source"] = STAND_IN
        return response

    return endpoint


def _list_models(request: Request, _body: bytes) -> Response:
    query = request.query_params
    return JSONResponse(
        gemini.list_models(page_size=query.get("pageSize", "50"), page_token=query.get("pageToken") or "0")
    )


def _get_model(request: Request, _body: bytes) -> Response:
    return JSONResponse(gemini.describe_model(request.path_params["model"], version=_version(request)))


def _version(request: Request) -> str:
    return request.url.path.split("/")[1]


def _not_found(request: Request, _body: bytes) -> Response:
    raise gemini.GeminiError(
        404, "NOT_FOUND", f"lmtest's stand-in has nothing at {request.method} {request.url.path}: try /v1beta/models"
    )


def _call_model(request: Request, body: bytes) -> Response:
    model, method = request.path_params["model"], request.path_params["method"]
    gemini.check_model(model, method, version=_version(request))
    if method == "countTokens":
        return JSONResponse(gemini.count_body(gemini.read_request(body, gemini.CountTokensRequest).total()))
    asked = gemini.read_request(body, gemini.GenerateContentRequest)
    prompts = asked.prompts()
    try:
        answers = [write_answer(prompt, max_tokens=asked.max_tokens) for prompt in prompts]
    except ValueError as error:
        raise gemini.GeminiError(400, "INVALID_ARGUMENT", f"lmtest's stand-in cannot answer: {error}") from error
    if method == "generateContent":
        return JSONResponse(gemini.whole_body(model, prompts, answers))
    bodies = gemini.stream_bodies(model, prompts, answers)
    if request.query_params.get("alt") == "sse":
        return StreamingResponse(_events(bodies), media_type="text/event-stream")
    return StreamingResponse(_array(bodies), media_type="application/json")


async def _events(bodies: Iterable[dict[str, Any]]) -> AsyncIterator[str]:
    for body in bodies:
        yield f"data: {json.dumps(body, ensure_ascii=False)}\r\n\r\n"


async def _array(bodies: Iterable[dict[str, Any]]) -> AsyncIterator[str]:
    opening = "["
    for body in bodies:
        yield f"{opening}{json.dumps(body, ensure_ascii=False)}"
        opening = "\n,\r\n"
    yield "]"  # google-generativeai refuses whatever follows, a line end too


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"the stand-in server cannot listen on {host} port {port} ({str(error.strerror).partition(' (while')[0]}); "
            "name another port, or 0 for any free one"
        ) from error
    # Accepted connections inherit it. asyncio sets it only where a socket names its protocol, which this one does not;
    # without it Nagle's algorithm and the client's delayed acknowledgement add 40 ms to every call.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener

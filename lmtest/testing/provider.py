"""A provider that follows a script: the Gemini protocol on a local port, with the answers and the faults you say."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from lmtest.http import gemini
from lmtest.lm.answers import MOCK_ID, Answer, write_answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    import dspy

    from lmtest.lm.answers import Prompt

_PATH = re.compile(r"/v1(?:beta)?/models/([^/:]+):(generateContent|streamGenerateContent)(?:\?|\Z)")
_STATUS: Final = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong instead of an answer, as :func:`rate_limited`, :func:`timeout` and their like make it.

    Attributes:
        kind: What.
        status: The HTTP status, of a refusal.
        retry_after: Seconds the ``Retry-After`` header says, where it does.
        after: How many pieces of a stream arrive before it is cut, or ends.
        text: The answer that is cut or ends too early, None for the one that the stand-in would give; a page's text.
    """

    kind: Literal["refuse", "stall", "cut", "end", "page"]
    status: int = 200
    retry_after: float | None = None
    after: int = 0
    text: str | None = None


Step = str | Fault | None
"""An answer's text, a fault, or None for the answer that the stand-in would give."""


def fields(**values: object) -> str:
    """Write an answer the way DSPy's ChatAdapter reads it.

    >>> print(fields(answer="Paris"))
    [[ ## answer ## ]]
    Paris
    <BLANKLINE>
    [[ ## completed ## ]]
    """
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    return "".join(f"[[ ## {name} ## ]]\n{text}\n\n" for name, text in texts.items()) + "[[ ## completed ## ]]"


def rate_limited(*, retry_after: float | None = None) -> Fault:
    """Refuse with 429.

    Args:
        retry_after: Seconds that the ``Retry-After`` header says; without it there is none.
    """
    return Fault(kind="refuse", status=429, retry_after=retry_after)


def server_error(status: int = 500, *, retry_after: float | None = None) -> Fault:
    """Refuse with a status of the 500s.

    Args:
        status: Which.
        retry_after: As for :func:`rate_limited`.
    """
    return Fault(kind="refuse", status=status, retry_after=retry_after)


def timeout() -> Fault:
    """Never answer: the client waits until its own timeout, or until the provider is closed."""
    return Fault(kind="stall")


def cut(text: str | None = None, *, after: int = 1) -> Fault:
    """Hang up in the middle of an answer.

    Args:
        text: The answer; by default the one that the stand-in would give.
        after: How many pieces of a stream, of three words each, arrive before; a whole answer is cut halfway.
    """
    return Fault(kind="cut", after=after, text=text)


def unfinished(text: str | None = None, *, after: int = 1) -> Fault:
    """End an answer in order, but too early: a stream without its finish, a whole answer in the middle of its JSON.

    Args:
        text: The answer; by default the one that the stand-in would give.
        after: How many pieces of a stream, of three words each, arrive before.
    """
    return Fault(kind="end", after=after, text=text)


def page(text: str = "<html><body>Down for maintenance</body></html>") -> Fault:
    """Answer 200 with something else, as a gateway in front of a provider does.

    Args:
        text: The page; "" for an empty answer.
    """
    return Fault(kind="page", text=text)


class ScriptedProvider:
    """A Gemini provider on a loopback port whose k-th call gets the k-th step of a script.

    Attributes:
        url: Where it listens, without ``/v1beta``.
        requests: The bodies that arrived, in order.

    Args:
        script: The steps. After the last one it answers 500, saying so, unless the last is repeated.
        repeat_last: Whether every further call gets the last step again.

    >>> import dspy
    >>> with ScriptedProvider([rate_limited(retry_after=0), fields(answer="Paris")]) as provider:
    ...     with dspy.context(lm=provider.lm(num_retries=2)):
    ...         dspy.Predict("question -> answer")(question="The capital of France?").answer
    'Paris'
    """

    def __init__(self, script: Iterable[Step], *, repeat_last: bool = False) -> None:
        self.requests: list[dict[str, Any]] = []
        self._script = list(script)
        self._repeat_last = repeat_last
        self._lock = threading.Condition()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="lmtest provider")
        self._thread.start()

    def lm(self, model: str = "gemini/gemini-2.5-flash", **kwargs: Any) -> dspy.LM:
        """Make a ``dspy.LM`` that calls this provider.

        Args:
            model: The model it says it is.
            kwargs: Further arguments of ``dspy.LM``. DSPy's cache is off, and it does not retry, unless they say so.
        """
        import dspy

        usual = {"api_base": f"{self.url}/v1beta", "api_key": "scripted", "cache": False, "num_retries": 0}
        return dspy.LM(model, **(usual | kwargs))

    def wait_for(self, calls: int, timeout: float = 10.0) -> None:
        """Wait until so many calls have arrived, answered or not.

        Raises:
            TimeoutError: They have not within ``timeout`` seconds.
        """
        with self._lock:
            if not self._lock.wait_for(lambda: len(self.requests) >= calls, timeout):
                raise TimeoutError(f"{len(self.requests)} of {calls} calls arrived within {timeout:g} s")

    @property
    def left(self) -> int:
        """How many steps nobody has asked for yet."""
        return max(0, len(self._script) - len(self.requests))

    def close(self) -> None:
        """Hang up on whoever waits, and end."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self, body: dict[str, Any]) -> Step:
        with self._lock:
            turn = len(self.requests)
            self.requests.append(body)
            self._lock.notify_all()
        if turn < len(self._script):
            return self._script[turn]
        if self._repeat_last and self._script:
            return self._script[-1]
        raise gemini.GeminiError(
            500, "INTERNAL", f"the script has {len(self._script)} steps, and this is call {turn + 1}"
        )


class _Server(ThreadingHTTPServer):
    provider: ScriptedProvider


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer a call by the script's next step."""
        server = self.server
        assert isinstance(server, _Server), "it is the only one that makes handlers"
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            self._answer(server.provider, body)
        except gemini.GeminiError as error:
            self._send(error.code, error.body)

    def _answer(self, provider: ScriptedProvider, body: bytes) -> None:
        found = _PATH.match(self.path)
        if not found:
            raise gemini.GeminiError(404, "NOT_FOUND", f"a scripted provider has nothing at {self.path}")
        prompts = gemini.read_request(body, gemini.GenerateContentRequest).prompts()[:1]
        step = provider._next(json.loads(body))  # noqa: SLF001 - one thing in two classes
        if isinstance(step, Fault) and step.kind == "stall":
            provider._closing.wait()  # noqa: SLF001 - as above
            self.close_connection = True
        elif isinstance(step, Fault) and step.kind == "refuse":
            waits = {} if step.retry_after is None else {"retry-after": f"{step.retry_after:g}"}
            message = f"the script says {step.status}"
            error = gemini.GeminiError(step.status, _STATUS.get(step.status, "INTERNAL"), message)
            self._send(step.status, error.body, headers=waits)
        elif isinstance(step, Fault) and step.kind == "page":
            self._write(200, (step.text or "").encode(), {"content-type": "text/html"})
        else:
            self._say(found[1], prompts, step, streamed=found[2] == "streamGenerateContent")

    def _say(self, model: str, prompts: list[Prompt], step: Step, *, streamed: bool) -> None:
        text = step.text if isinstance(step, Fault) else step
        answer = write_answer(prompts[0]) if text is None else Answer(id=f"{MOCK_ID}scripted", text=text)
        fault = step if isinstance(step, Fault) else None
        if streamed:
            pieces = [_event(body) for body in gemini.stream_bodies(model, prompts, [answer])]
            self._stream(pieces, fault)
        else:
            self._send(200, gemini.whole_body(model, prompts, [answer]), fault=fault)

    def _send(
        self, status: int, body: dict[str, Any], *, headers: dict[str, str] | None = None, fault: Fault | None = None
    ) -> None:
        content = json.dumps(body).encode()
        part = content[: len(content) // 2] if fault else content
        promised = part if fault and fault.kind == "end" else content
        self._write(status, part, {"content-type": "application/json", **(headers or {})}, length=len(promised))

    def _write(self, status: int, content: bytes, headers: dict[str, str], *, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "connection": "close"}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, pieces: list[bytes], fault: Fault | None) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("connection", "close")
        self.end_headers()
        for piece in pieces[: fault.after] if fault else pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if fault is None or fault.kind == "end":
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep the test's output to the test."""


def _event(body: dict[str, Any]) -> bytes:
    return b"data: %s\r\n\r\n" % json.dumps(body).encode()

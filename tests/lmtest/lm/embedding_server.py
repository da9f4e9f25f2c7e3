"""A server of OpenAI's embeddings on loopback, which keeps what it was sent."""

import asyncio
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dspy

HANG, CUT = "hang", "cut"
MODEL = "openai/text-embedding-3-small"
PRICE = "0.00000002"  # USD a token of it
DIMENSIONS = 8


def vector(text, dimensions=DIMENSIONS):
    """The vector of a text, in as many digits as providers give."""
    drawn = hashlib.shake_256(text.encode()).digest(4 * dimensions)
    return [int.from_bytes(drawn[place : place + 4], "big") / 2**31 - 1.0 for place in range(0, 4 * dimensions, 4)]


class EmbeddingServer:
    """Answers a vector and two tokens for each text.

    Args:
        steps: For each request in turn what comes instead of an answer: a status, HANG, CUT, a whole body, or None.
            After the last one all are answered.
    """

    def __init__(self, *steps):
        # In a thread that never had an event loop LiteLLM makes one, and leaves it open.
        asyncio.run(asyncio.sleep(0))
        self.steps = list(steps)
        self.requests = []
        self.headers = []
        self.arrived = threading.Condition()
        self.closing = threading.Event()
        handler = type("Handler", (_Handler,), {"owner": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def embedder(self, model=MODEL, **options):
        """Make an embedder that reaches this server."""
        return dspy.Embedder(model, **{"api_base": self.url, "api_key": "a-key-for-the-server", **options})

    def wait_for(self, requests):
        """Wait until so many requests have arrived."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= requests, timeout=10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class _Handler(BaseHTTPRequestHandler):
    owner = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.owner.arrived:
            turn = len(self.owner.requests)
            self.owner.requests.append(body)
            self.owner.headers.append(dict(self.headers))
            self.owner.arrived.notify_all()
        step = self.owner.steps[turn] if turn < len(self.owner.steps) else None
        if step == HANG:
            self.owner.closing.wait()
        if isinstance(step, int):
            self._send(step, {"error": {"message": f"the script says {step}", "code": None}})
        elif step not in (HANG, CUT):
            self._send(200, step or _answer(body))

    def _send(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("retry-after", "0.001")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _answer(body):
    dimensions = body.get("dimensions") or DIMENSIONS
    data = [
        {"object": "embedding", "index": index, "embedding": vector(text, dimensions)}
        for index, text in enumerate(body["input"])
    ]
    tokens = 2 * len(data)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": body["model"], "data": data, "usage": usage}

"""A server of OpenAI's embeddings on loopback, which keeps what it was sent."""

import asyncio
import hashlib
import threading

import dspy

from .loopback import Handler, Loopback

HANG, CUT = "hang", "cut"
MODEL = "openai/text-embedding-3-small"
PRICE = "0.00000002"  # USD a token of it
DIMENSIONS = 8
_SOON = {"retry-after": "0.001"}


def vector(text, dimensions=DIMENSIONS):
    """The vector of a text, in as many digits as providers give."""
    drawn = hashlib.shake_256(text.encode()).digest(4 * dimensions)
    return [int.from_bytes(drawn[place : place + 4], "big") / 2**31 - 1.0 for place in range(0, 4 * dimensions, 4)]


class EmbeddingServer(Loopback):
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
        super().__init__(_Handler)
        self.url += "/v1"

    def embedder(self, model=MODEL, **options):
        """Make an embedder that reaches this server."""
        return dspy.Embedder(model, **{"api_base": self.url, "api_key": "a-key-for-the-server", **options})

    def wait_for(self, requests):
        """Wait until so many requests have arrived."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= requests, timeout=10)

    def __exit__(self, *how):
        self.closing.set()
        super().__exit__(*how)


class _Handler(Handler):
    def answer(self):
        body = self.asked()
        with self.owner.arrived:
            turn = len(self.owner.requests)
            self.owner.requests.append(body)
            self.owner.headers.append(dict(self.headers))
            self.owner.arrived.notify_all()
        step = self.owner.steps[turn] if turn < len(self.owner.steps) else None
        if step == HANG:
            self.owner.closing.wait()
        if isinstance(step, int):
            error = {"message": f"the script says {step}", "code": None}
            self.send({"error": error}, status=step, headers=_SOON)
        elif step not in (HANG, CUT):
            self.send(step or _answer(body), headers=_SOON)


def _answer(body):
    dimensions = body.get("dimensions") or DIMENSIONS
    data = [
        {"object": "embedding", "index": index, "embedding": vector(text, dimensions)}
        for index, text in enumerate(body["input"])
    ]
    tokens = 2 * len(data)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": body["model"], "data": data, "usage": usage}

"""A provider on loopback that refuses every call alike, whatever protocol it came by."""

import json

import dspy

from .loopback import Handler, Loopback


class Refusing(Loopback):
    """Refuses.

    Args:
        status: With this status.
        headers: And these headers.
        body: And this body, as JSON.
    """

    def __init__(self, status, headers=None, body=None):
        self.status, self.headers = status, headers or {}
        self.body = json.dumps({"error": {"message": "slow down"}} if body is None else body).encode()
        super().__init__(_Handler)

    def lm(self, model, **kwargs):
        """An LM that is refused; LiteLLM's SDKs ask once."""
        usual = {"api_base": self.url, "api_key": "k" * 12, "cache": False, "num_retries": 0}
        return dspy.LM(model, **(usual | kwargs))


class _Handler(Handler):
    def answer(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {"connection": "close"} | self.owner.headers
        self.send(self.owner.body, status=self.owner.status, headers=headers)

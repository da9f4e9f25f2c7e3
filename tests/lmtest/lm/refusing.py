"""A provider on loopback that refuses every call alike, whatever protocol it came by."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dspy


class Refusing:
    """Refuses.

    Args:
        status: With this status.
        headers: And these headers.
        body: And this body, as JSON.
    """

    def __init__(self, status, headers=None, body=None):
        self.status, self.headers = status, headers or {}
        self.body = json.dumps({"error": {"message": "slow down"}} if body is None else body).encode()
        handler = type("Handler", (_Handler,), {"refusing": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def lm(self, model, **kwargs):
        """An LM that is refused; LiteLLM's SDKs ask once."""
        usual = {"api_base": self.url, "api_key": "k" * 12, "cache": False, "num_retries": 0}
        return dspy.LM(model, **(usual | kwargs))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class _Handler(BaseHTTPRequestHandler):
    refusing = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(self.refusing.status)
        sent = {
            "content-type": "application/json",
            "content-length": str(len(self.refusing.body)),
            "connection": "close",
        }
        for name, value in (sent | self.refusing.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.refusing.body)

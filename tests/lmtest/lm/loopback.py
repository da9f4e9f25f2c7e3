"""A provider on loopback for tests that say themselves how it answers."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Reads a request and sends an answer; what it answers is its subclass's to say, in `answer`.

    Attributes:
        owner: The server, with whatever the test keeps there.
    """

    owner = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.answer()

    def asked(self):
        """Read the request's body."""
        return json.loads(self.rfile.read(int(self.headers["content-length"])))

    def send(self, content, kind="application/json", *, status=200, headers=()):
        """Send an answer: bytes, or what becomes JSON."""
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(content)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class Loopback:
    """Serves in a thread until its block ends.

    Args:
        handler: The class that answers.
    """

    def __init__(self, handler):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"owner": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

"""A provider on loopback that speaks Gemini's protocol and answers by what a prompt holds."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lmtest.http import gemini
from lmtest.lm.answers import MOCK_ID, Answer, write_answer


def fields(**values):
    """Write an answer the way DSPy's ChatAdapter reads it."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    return "".join(f"[[ ## {name} ## ]]\n{text}\n\n" for name, text in texts.items()) + "[[ ## completed ## ]]"


class Oracle(ThreadingHTTPServer):
    """Answers the prompts that hold a key of `says` by its value, all others as the stand-in does.

    A text is the answer, a number an HTTP status to refuse with. Before an answer it waits `delays` seconds.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.says = {}
        self.delays = {}
        self.prompts = []
        self.models = []
        self._held = None
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()

    def hold(self, *, after):
        """Let some calls through, and hold the next until the gate is opened."""
        self.gate, self._held = Gate(), len(self.prompts) + after
        return self.gate

    def holds(self):
        return self._held is not None and len(self.prompts) == self._held + 1

    def __exit__(self, *_):
        self.shutdown()
        self._thread.join()
        self.server_close()


class Gate:
    def __init__(self):
        self.reached, self.open = threading.Event(), threading.Event()


_STATUS = {403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}


class _Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True

    def do_POST(self):
        asked = gemini.read_request(self.rfile.read(int(self.headers["content-length"])), gemini.GenerateContentRequest)
        prompts, model = asked.prompts(), self.path.split("/")[3].partition(":")[0]
        text = prompts[0].turns[-1][1]
        self.server.prompts.append(text)
        self.server.models.append(model)
        if self.server.holds():
            self.server.gate.reached.set()
            self.server.gate.open.wait(60)
        time.sleep(next((wait for key, wait in self.server.delays.items() if key in text), 0))
        said = next((answer for key, answer in self.server.says.items() if key in text), None)
        if isinstance(said, int):
            return self._send(said, {"error": {"code": said, "status": _STATUS[said], "message": "no"}})
        answer = write_answer(prompts[0]) if said is None else Answer(id=f"{MOCK_ID}oracle", text=said)
        if "stream" in self.path:
            bodies = [
                b"data: %s\r\n\r\n" % json.dumps(body).encode()
                for body in gemini.stream_bodies(model, prompts, [answer])
            ]
            return self._send(200, b"".join(bodies), "text/event-stream")
        return self._send(200, gemini.whole_body(model, prompts, [answer]))

    def _send(self, status, body, kind="application/json"):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content)
        except ConnectionError:
            pass  # whoever asked was killed

    def log_message(self, *_):
        pass

"""A TCP proxy on loopback that understands as much of HTTP/2 as a test has to see, and can stop carrying anything."""

import socket
import threading

PING, ACK = 6, 1
HEADER = 9
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Wire:
    """Carries bytes to a server and back, and counts what is told of.

    Attributes:
        target: Where clients connect to.
        answered: Released once for each ping of the server's that the client has answered.
    """

    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self._server = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open = [self._listening]
        self._dead = threading.Event()
        self.answered = threading.Semaphore(0)
        self.target = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listening.shutdown(socket.SHUT_RDWR)  # or its thread would wait on
        for each in self._open:
            each.close()

    def die(self):
        """Carry nothing more, and close nothing: what a machine that lost its power looks like."""
        self._dead.set()

    def _accept(self):
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:  # closed: the test is over
                return
            server = socket.create_connection(self._server)
            self._open += [client, server]
            threading.Thread(target=self._carry, args=(client, server, self._count), daemon=True).start()
            threading.Thread(target=self._carry, args=(server, client, lambda data: data), daemon=True).start()

    def _carry(self, source, sink, see):
        unseen = b""
        try:
            while data := source.recv(65536):
                if self._dead.is_set():
                    continue
                sink.sendall(data)
                unseen = see(unseen + data)
        except OSError:
            pass
        if not self._dead.is_set():
            sink.close()

    def _count(self, data):
        """Release for each answer to a ping; what is no whole frame yet is kept."""
        if PREFACE.startswith(data):
            return data
        data = data.removeprefix(PREFACE)
        while len(data) >= HEADER and len(data) >= (end := HEADER + int.from_bytes(data[:3], "big")):
            if data[3] == PING and data[4] & ACK:
                self.answered.release()
            data = data[end:]
        return data

"""Programs that are held open until they are let go."""

import threading


class Held:
    """What a scripted model waits in.

    Attributes:
        begun: Set once a program has come to it.
    """

    def __init__(self):
        self.begun, self._let_go = threading.Event(), threading.Event()

    def __call__(self):
        self.begun.set()
        self._let_go.wait()

    def let_go(self):
        """Hold nobody any more."""
        self._let_go.set()

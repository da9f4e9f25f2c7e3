"""An idle watcher's connection is proved alive by pings, and one that is dead gives its thread back."""

from python_worker.client import connect

from .calling import wait_until, watchers
from .wires import Wire


def test_an_idle_watcher_answers_pings_and_still_hears_a_change(start_worker):
    worker = start_worker(keepalive=0.05)
    with Wire(worker.target) as wire, connect(wire.target) as client:
        with client.session("ada").watch() as watching:
            for _ in range(5):
                assert wire.answered.acquire(timeout=30), "the worker sent no ping, or the client answered none"
            worker.client.session("ada")["x"] = 1
            assert next(watching).new == 1


def test_a_watcher_whose_connection_is_dead_gives_its_thread_back(start_worker):
    worker = start_worker(keepalive=0.05, keepalive_timeout=2.0)
    with Wire(worker.target) as wire, connect(wire.target) as client:
        watching = client.session("ada").watch()
        wire.die()
        wait_until(lambda: watchers(worker) == 0)
        watching.close()

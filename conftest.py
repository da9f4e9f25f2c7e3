"""What pytest is told before it collects: the harness for tests of a plugin, and where no tests of ours are."""

import asyncio

pytest_plugins = ["pytester"]

collect_ignore = ["python_worker/v1"]  # generated


def pytest_sessionstart() -> None:
    """Begin as every later test does, after the first `asyncio.run`: with no event loop that is nobody's.

    LiteLLM asks for the main thread's loop in plain calls, which Python 3.11 then makes; the next `asyncio.run` drops
    it unclosed, and the test that it is in would be blamed (findings/litellm_leaves_event_loop.sh).
    """
    asyncio.set_event_loop(None)

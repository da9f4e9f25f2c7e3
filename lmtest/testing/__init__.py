"""What lmtest's own tests are written with, for tests of your own: providers that follow a script, and suites to run.

:class:`ScriptedProvider` is a real HTTP server on loopback that answers, fails, stalls and hangs up as its script says.
:class:`SuiteRunner` runs a suite of tests inside a test, through pytest's own ``pytester``.
"""

from lmtest.testing.provider import (
    Fault,
    ScriptedProvider,
    cut,
    fields,
    page,
    rate_limited,
    server_error,
    timeout,
    unfinished,
)
from lmtest.testing.suite import SuiteResult, SuiteRunner

__all__ = [
    "Fault",
    "ScriptedProvider",
    "SuiteResult",
    "SuiteRunner",
    "cut",
    "fields",
    "page",
    "rate_limited",
    "server_error",
    "timeout",
    "unfinished",
]

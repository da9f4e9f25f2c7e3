import hypothesis  # noqa: F401 - its plugin imports it at the end of every run, and a run in this process forgets it
import pytest

from lmtest.testing import ScriptedProvider, SuiteRunner, fields


@pytest.fixture
def suite(pytester):
    return SuiteRunner(pytester, options=("-o", "asyncio_default_fixture_loop_scope=function"))


@pytest.fixture
def provider():
    """One that answers whatever it is asked, always."""
    with ScriptedProvider([None], repeat_last=True) as server:
        yield server


@pytest.fixture
def paris():
    """One that knows one answer."""
    with ScriptedProvider([fields(answer="Paris")], repeat_last=True) as server:
        yield server

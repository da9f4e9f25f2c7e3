import pytest

from lmtest.http.server import StandIn


@pytest.fixture(scope="session")
def stand_in():
    with StandIn(keep_requests=False) as server:
        yield server

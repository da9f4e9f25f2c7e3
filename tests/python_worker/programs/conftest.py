"""Workers whose programs run under lmtest's own mock mode."""

import pytest

import lmtest
from python_worker.client import connect
from python_worker.runtime import LmtestLMs
from python_worker.settings import Settings
from python_worker.store import Database
from python_worker.worker import Worker


@pytest.fixture
def mocked(tmp_path):
    """A client of a worker in mode mock."""
    database = Database.in_directory(tmp_path / "data")
    database.migrate()
    settings = Settings(mode=lmtest.Mode.MOCK, cassette_dir=tmp_path / "cassettes", data_dir=tmp_path / "data")
    lms = LmtestLMs(mode=settings.mode, cassette_dir=settings.cassette_dir, model=settings.model)
    worker = Worker(settings, database=database, lms=lms)
    worker.start()
    with connect(f"127.0.0.1:{worker.port}") as client:
        yield client
    worker.stop()
    database.close()

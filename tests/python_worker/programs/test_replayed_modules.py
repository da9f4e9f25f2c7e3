"""What a program of each module recorded plays again, with the provider gone."""

from pathlib import Path

import pytest

import lmtest
from lmtest.http.server import StandIn
from python_worker.client import connect
from python_worker.runtime import LmtestLMs
from python_worker.settings import Settings
from python_worker.store import Database
from python_worker.worker import Worker

QA = "signature qa: :string question -> :string answer, :confidence_score confidence"
ASKED = {"question": "What is the capital of France?"}
NEVER = {"reward": "field:confidence", "threshold": 2.0}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a program in a mode, with a worker of its own."""
    monkeypatch.setenv("GEMINI_API_KEY", "stand-in-key")
    database = Database.in_directory(tmp_path / "data")
    database.migrate()

    def run(mode, inputs, *, api_base=None, **program):
        settings = Settings(mode=mode, cassette_dir=tmp_path / "cassettes", data_dir=tmp_path, api_base=api_base)
        lms = LmtestLMs(mode=mode, cassette_dir=settings.cassette_dir, model=settings.model, api_base=api_base)
        worker = Worker(settings, database=database, lms=lms)
        worker.start()
        with connect(f"127.0.0.1:{worker.port}") as client:
            if program:
                client.session("ada")
                client.create_program("qa", signature=QA, session="ada", **program)
            execution = client.execute("qa", inputs, session="ada")
        worker.stop()
        return execution

    yield run
    database.close()


@pytest.mark.parametrize(
    ("module", "options", "inputs"),
    [
        ("ReAct", {"max_iters": 2}, ASKED),
        ("BestOfN", NEVER | {"n": 3, "of": "Predict"}, ASKED),
        ("Refine", NEVER | {"n": 2, "of": "Predict"}, ASKED),
        ("MultiChainComparison", {"m": 2}, ASKED),
        ("Parallel", {"num_threads": 4}, {"items": [{"question": f"What is {n}?"} for n in range(6)]}),
    ],
)
def test_a_recorded_run_plays_again(run, module, options, inputs):
    with StandIn() as provider:
        base = f"{provider.url}/v1beta"
        recorded = run(lmtest.Mode.RECORD, inputs, api_base=base, module=module, module_options=options)
    replayed = run(lmtest.Mode.REPLAY, inputs)
    assert replayed.outputs == recorded.outputs
    assert {call.hit for call in recorded.stages[2].calls} == {"live"}
    assert {call.hit for call in replayed.stages[2].calls} == {"cassette"}
    assert {Path(call.cassette).parts[-3:-1] for call in replayed.stages[2].calls} == {("ada", "qa")}
    assert len(replayed.stages[2].calls) == len(recorded.stages[2].calls) > 1

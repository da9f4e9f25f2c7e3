"""A worker with scripted models, to run actions around."""

import pytest

from python_worker.client import WorkerError

QA = "signature qa: :string question, :integer least -> :string answer"


@pytest.fixture
def run(start_worker):
    """Run a program with actions; gives the execution, or the error, with the worker it ran on."""
    workers = []

    def run(*actions, question="sky", least=1, answer="It is blue", **settings):
        worker = start_worker({"sky": {"answer": answer}}, **settings)
        workers.append(worker)
        worker.client.create_signature(QA)
        worker.client.create_program("qa", signature="qa")
        try:
            return worker.client.execute("qa", {"question": question, "least": least}, actions=actions), worker
        except WorkerError as error:
            return error, worker

    return run

"""The clients of programs: the asyncio twin, what help shows, and a worker in a process of its own."""

import inspect

import pytest

from python_worker.client import AsyncClient, Client, NotFound, connect_async

from ..test_command_line import Served  # noqa: TID252 - tests are no installed package

QA = "signature qa: :string question -> :string answer"


@pytest.mark.asyncio
async def test_the_asyncio_twin_does_the_same(start_worker):
    worker = start_worker({"sky": {"answer": "blue"}})
    async with connect_async(worker.target) as client:
        await client.create_signature(QA)
        made = await client.create_program("qa", signature="qa", format="chat", metadata={"a": "b"})
        assert await client.get_program("qa") == made == worker.client.get_program("qa")
        assert (await client.update_program("qa", module="ChainOfThought", expected_version=1)).version == 2
        assert [each.name async for each in client.programs("q*")] == ["qa"]
        assert [each.name async for each in client.signatures()] == [(await client.get_signature("qa")).name]
        await client.delete_program("qa")
        await client.delete_signature("qa")
        with pytest.raises(NotFound):
            await client.get_program("qa")


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_help_shows_the_arguments_and_what_they_are_for(client):
    assert list(inspect.signature(client.get_program).parameters) == ["self", "program", "session", "version"]
    assert "the newest where 0" in inspect.getdoc(client.get_program)


def test_a_worker_imports_what_its_command_line_allows_and_what_programs_print_goes_to_its_log(tmp_path):
    (tmp_path / "shouting.py").write_text(
        "import dspy\nprint('imported')\n"
        "class Qa(dspy.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.answer = dspy.Predict('question -> answer')\n"
        "    def forward(self, question):\n"
        "        print('asked')\n"
        "        return self.answer(question=question)\n"
    )
    worker = Served(tmp_path, "--lm-mode", "mock", "--allow-import", "shouting:*", PYTHONPATH=str(tmp_path))
    try:
        worker.client.create_program("qa", import_path="shouting:Qa")
        assert worker.client.execute("qa", {"question": "sky"}).outputs.keys() == {"answer"}
        assert worker.stop() == (0, "")
    finally:
        worker.kill()
    assert "imported\nasked\n" in worker.errors

"""The client for asyncio, against a real server on loopback."""

import asyncio
import inspect

import pytest
import pytest_asyncio

from python_worker.client import (
    AsyncClient,
    AsyncSession,
    Client,
    NotFound,
    RemoteSession,
    StaleVersion,
    Unavailable,
    VariableNotFound,
    connect_async,
)

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def session(start_worker):
    async with connect_async(start_worker().target) as client:
        yield await client.session("ada")


async def test_a_value_that_is_set_is_registered_and_read(session):
    made = await session.set("x", 1)
    assert (await session.get("x"), made.type, made.version) == (1, ":integer", 1)


async def test_each_method_does_what_its_twin_does(session):
    await session.register("x", 1, type=":float", metadata={"unit": "K"})
    await session.set("x", 2.5, expected_version=1)
    await session.increment("x", 0.5)
    await session.set_many({"log": ["a"], "y": 2})
    await session.append("log", "b")
    await session.roll_back("x", 1)
    assert await session.get_many(["x", "log", "y", "z"]) == {"x": 1.0, "log": ["a", "b"], "y": 2}
    assert [change.new for change in await session.history("x")] == [1.0, 2.5, 3.0, 1.0]
    await session.delete("y")
    assert [variable.name async for variable in session.variables()] == ["log", "x"]
    assert (await session.info()).variables == (await session.touch()).variables == 2


ALONE = {"get", "session", "watch", "run", "open_watch", "serve_tools"}
"""What the twins are given otherwise: a mapping's ``get``, a cache, who tells changes and calls tools."""


@pytest.mark.parametrize(("ours", "twin"), [(RemoteSession, AsyncSession), (Client, AsyncClient)])
async def test_both_clients_take_the_same_arguments_with_the_same_defaults(ours, twin):
    shared = {name for name in dir(twin) if not name.startswith("_")} & set(dir(ours)) - ALONE
    assert len(shared) > 10
    for name in shared:
        signatures = [inspect.signature(getattr(kind, name)).parameters for kind in (ours, twin)]
        assert signatures[0] == signatures[1], name


async def test_errors_are_those_of_the_twin(session):
    with pytest.raises(VariableNotFound):
        await session.get("x")
    await session.set("x", 1)
    with pytest.raises(StaleVersion):
        await session.set("x", 2, expected_version=7)
    await session.end()
    with pytest.raises(NotFound):
        await session.info()


async def test_a_hundred_tasks_count_to_a_hundred(session):
    await session.set("count", 0)
    await asyncio.gather(*(session.increment("count") for _ in range(100)))
    assert await session.get("count") == 100


async def test_changes_are_told_as_they_come(session):
    await session.set("x", 1)
    async with session.watch("x", include_initial=True) as watching:
        await session.set("x", 2)
        told = [await anext(watching), await anext(watching)]
    assert [(change.kind, change.new) for change in told] == [("initial", 1), ("set", 2)]


async def test_a_watching_ends_with_its_session(session):
    async with session.watch() as watching:
        await session.end()
        with pytest.raises(NotFound):
            await anext(watching)


async def test_a_worker_that_is_not_there_is_unavailable():
    async with connect_async("127.0.0.1:1", deadline=10) as client:
        with pytest.raises(Unavailable):
            await client.session("ada")

"""Whatever DSPy copies, shows, saves or pickles inside a cassette knows nothing of it."""

import copy
import io
import pickle
import subprocess
import sys

import cloudpickle
import dspy
import pytest
from dspy.dsp.utils.settings import thread_local_overrides

import lmtest
from lmtest.lm import seam
from lmtest.lm.scope import Scope

from .recordings import QUESTION, qa, record, run


@lmtest.tool
def search(query: str) -> str:
    """Search."""
    return f"found {query}"


@pytest.fixture
def opened(lm):
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="record") as cassette:
        qa(question=QUESTION)
        yield cassette


@pytest.fixture
def own_lm(provider):
    """An LM with a cassette of its own."""
    url = f"{provider.url}/v1beta"
    model = "gemini/gemini-2.5-flash"
    with lmtest.LM(model, cassette="lm.yaml", mode="record", api_base=url, api_key="k" * 12, temperature=0.5) as lm:
        yield lm


def unpickled(value):
    return cloudpickle.loads(cloudpickle.dumps(value))


# ── DSPy's settings ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_settings_are_saved_and_loaded(opened):
    dspy.settings.save("settings.pkl")
    loaded = dspy.settings.load("settings.pkl", allow_pickle=True)
    assert loaded["lm"].model == "gemini/gemini-2.5-flash"
    assert not [name for name in loaded if "lmtest" in name]


def test_settings_copied_inside_are_those_of_outside(lm):
    with dspy.context(lm=lm):
        outside = dspy.settings.copy(), dspy.settings.config, repr(dspy.settings)
        with lmtest.use_cassette("qa.yaml", mode="record"):
            assert (dspy.settings.copy(), dspy.settings.config, repr(dspy.settings)) == outside


def test_settings_copied_inside_put_nothing_into_force_outside(lm, provider, fresh_question):
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="mock"):
        snapshot = dspy.settings.copy()
    with dspy.context(**snapshot):
        qa(question=fresh_question)
    assert len(provider.requests) == 1


def test_settings_copied_before_keep_a_cassette_that_is_open_in_force(lm):
    with dspy.context(lm=lm):
        snapshot = dspy.settings.copy()
    with lmtest.use_cassette("qa.yaml", mode="mock") as cassette, dspy.context(**snapshot):
        qa(question=QUESTION)
    assert len(cassette.calls) == 1


def test_what_pickles_the_overrides_themselves_takes_no_cassette_along(opened):
    kinds = {type(each) for each in unpickled(thread_local_overrides.get()).values()}
    assert type(seam.bound()) is Scope
    assert Scope not in kinds


def test_what_copies_the_overrides_deep_takes_no_cassette_along(opened):
    token = thread_local_overrides.set(copy.deepcopy(thread_local_overrides.get()))
    try:
        assert seam.bound() is None
    finally:
        thread_local_overrides.reset(token)


def test_asyncified_and_parallel_programs_still_belong_to_the_cassette(lm):
    async def asked():
        return await dspy.asyncify(qa)(question=QUESTION)

    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="mock") as cassette:
        run(asked())
        dspy.Parallel(num_threads=2, disable_progress_bar=True)([(qa, {"question": str(n)}) for n in range(4)])
    assert len(cassette.calls) == 5


# ── programs and LMs ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_program_saved_whole_inside_a_cassette_calls_freely_outside(lm, provider, fresh_question):
    program = copy.deepcopy(qa)
    program.set_lm(lm)
    with lmtest.use_cassette("qa.yaml", mode="record"):
        recorded = program(question=fresh_question).answer
        program.save("program", save_program=True)
    assert dspy.load("program", allow_pickle=True)(question=fresh_question).answer == recorded
    assert len(provider.requests) == 2


@pytest.mark.parametrize("copied", [copy.deepcopy, unpickled, lambda program: program.deepcopy()])
def test_a_program_copied_inside_a_cassette_belongs_to_it_there(lm, copied):
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="mock") as cassette:
        copied(dspy.ReAct("question -> answer", tools=[search]))(question=QUESTION)
    assert "search" in [call.tool for call in cassette.calls]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, unpickled, lambda lm: lm.copy(temperature=0.5)])
def test_an_lm_copied_inside_a_cassette_is_recorded_too(lm, copied):
    with lmtest.use_cassette("qa.yaml", mode="record") as cassette, dspy.context(lm=copied(lm)):
        qa(question=QUESTION)
    assert len(cassette.recorded) == 1


def test_the_state_of_an_lm_is_the_same_inside(lm):
    outside = lm.dump_state()
    with dspy.context(lm=lm), lmtest.use_cassette("qa.yaml", mode="record"):
        qa(question=QUESTION)
        assert lm.dump_state() == outside


def test_a_history_reads_the_same_when_it_is_replayed(lm, unreachable_lm):
    def told(here):
        here.inspect_history(file=(page := io.StringIO()))
        dspy.inspect_history(file=(whole := io.StringIO()))
        return [text.getvalue().partition("]")[2] for text in (page, whole)]  # it begins with the time

    record(lm, QUESTION)
    recorded = told(lm)
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml"):
        qa(question=QUESTION)
    assert told(unreachable_lm) == recorded


SPAWNING = """
import multiprocessing

import cloudpickle
import dspy

import lmtest
from lmtest.lm import seam


def told(saved, pipe):
    pipe.send((sorted(cloudpickle.loads(saved)), seam.bound()))


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with lmtest.use_cassette(mode="mock"), dspy.context(lm=dspy.LM("gemini/gemini-2.5-flash")):
        dspy.Predict("question -> answer")(question="Who?")
        child = context.Process(target=told, args=(cloudpickle.dumps(dspy.settings.copy()), there))
        child.start()
        names, bound = here.recv()
        child.join()
    print("lm" in names, [name for name in names if "lmtest" in name], bound)
"""


def test_a_spawned_process_gets_settings_without_a_cassette(project):
    (project / "spawning.py").write_text(SPAWNING)
    done = subprocess.run([sys.executable, "spawning.py"], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "True [] None\n"


class Decorated(dspy.Module):
    @lmtest.use_cassette("decorated.yaml", mode="mock")
    def forward(self, question):
        return qa(question=question)


def test_a_program_with_a_decorated_method_is_saved_by_value(lm):
    cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["Decorated"]))
    try:
        with dspy.context(lm=lm):
            assert "Mock answer" in unpickled(Decorated())(question=QUESTION).answer
    finally:
        cloudpickle.unregister_pickle_by_value(__import__(__name__, fromlist=["Decorated"]))


def test_use_cassette_pickled_while_it_is_open_is_closed_where_it_is_loaded(lm):
    use = lmtest.use_cassette("qa.yaml", mode="mock", limits={"gemini/gemini-2.5-flash": {"usd_per_run": "1"}})
    with use:
        elsewhere = pickle.loads(pickle.dumps(use))
    with elsewhere as cassette, dspy.context(lm=lm):
        qa(question=QUESTION)
    assert len(cassette.calls) == 1


# ── LMs with a cassette of their own ─────────────────────────────────────────────────────────────────────────────────


def test_an_lm_with_a_cassette_is_saved_as_the_plain_lm(own_lm, provider, fresh_question):
    saved = unpickled(own_lm)
    assert type(saved) is dspy.LM
    assert (saved.model, saved.kwargs["temperature"]) == (own_lm.model, 0.5)
    with dspy.context(lm=saved):
        qa(question=fresh_question)
    assert (len(provider.requests), own_lm.cassette.recorded) == (1, ())


def test_settings_with_an_lm_that_has_a_cassette_are_saved(own_lm):
    with dspy.context(lm=own_lm):
        dspy.settings.save("settings.pkl")
    assert type(dspy.settings.load("settings.pkl", allow_pickle=True)["lm"]) is dspy.LM


def test_the_state_of_an_lm_with_a_cassette_is_that_of_the_plain_one(own_lm, provider):
    plain = dspy.LM(own_lm.model, api_base=f"{provider.url}/v1beta", api_key="k" * 12, temperature=0.5)
    assert own_lm.dump_state() == plain.dump_state()
    assert own_lm.copy(temperature=0.7).dump_state()["temperature"] == 0.7


def test_a_program_of_an_lm_with_a_cassette_is_saved_as_json(own_lm):
    program = copy.deepcopy(qa)
    program.set_lm(own_lm)
    program.save("program.json")
    loaded = copy.deepcopy(qa)
    loaded.load("program.json")
    assert type(loaded.lm) is dspy.LM


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda lm: lm.copy(temperature=0.7)])
def test_a_copy_of_an_lm_with_a_cassette_has_the_same_cassette(own_lm, copied):
    with dspy.context(lm=copied(own_lm)):
        qa(question=QUESTION)
    assert len(own_lm.cassette.recorded) == 1


def test_a_program_copied_by_an_optimizer_keeps_the_cassette_of_its_lm(own_lm):
    program = copy.deepcopy(qa)
    program.set_lm(own_lm)
    program.deepcopy()(question=QUESTION)
    assert len(own_lm.cassette.recorded) == 1


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_miss_crosses_processes(lm, unreachable_lm):
    record(lm, QUESTION)
    with dspy.context(lm=unreachable_lm), lmtest.use_cassette("qa.yaml", allow_misses=True):
        with pytest.raises(lmtest.CassetteMiss) as caught:
            qa(question="Something else?")
    error = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(error, lmtest.CassetteMiss)
    assert isinstance(error, dspy.LMError)
    assert (str(error), error.key, error.nearest) == (str(caught.value), caught.value.key, caught.value.nearest)


@pytest.mark.parametrize(
    "error",
    [
        lmtest.RateLimited("wait", retry_after=2.0),
        lmtest.BudgetExceeded("too much", spent=1, limit=1, estimate=None),
        lmtest.ConfigurationError("no such mode"),
    ],
)
def test_an_error_crosses_processes_with_what_it_says(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))

"""A refresh of embeddings: they are asked anew of their own model, and compared by where they point."""

import math

import pytest

import lmtest
from lmtest.cassette.index import Index
from lmtest.cassette.interaction import Interaction, Reply
from lmtest.cassette.pending import fresh_path
from lmtest.cassette.redact import of_process
from lmtest.cassette.vectors import packed
from lmtest.cassette.verify import verify
from lmtest.lm.substitution import Substitution
from lmtest.refresh.accept import carry_out_decisions
from lmtest.refresh.chains import why_not
from lmtest.refresh.decisions import Decision
from lmtest.refresh.drift import Tier
from lmtest.refresh.pairs import pair
from lmtest.refresh.plan import Choice, Plan, make_plan
from lmtest.refresh.result import gather, read_calls
from lmtest.refresh.run import Ended, Run
from lmtest.report.drift_data import as_data

from ..lm.embedding_server import MODEL, PRICE, EmbeddingServer  # noqa: TID252 - tests are no package

TEST = "test_a.py::test_it"


def answer(*vectors):
    data = [{"object": "embedding", "index": place, "embedding": each} for place, each in enumerate(vectors)]
    return {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}}


def turned(angle):
    return [math.cos(angle), math.sin(angle)]


@pytest.fixture
def refreshed(project):
    """Records, refreshes with other answers, and compares."""
    (project / "test_a.py").touch()
    path = project / "a.yaml"

    def refreshed(before, after):
        with EmbeddingServer(*before, *after) as server:
            for mode, answers in (("record", before), ("refresh", after)):
                with lmtest.use_cassette(path, mode=mode, test=TEST):
                    for number in range(len(answers)):
                        server.embedder()(f"text {number}")
        [job] = make_plan([path], Choice(again=True), root=project).due
        plan = Plan(due=(job,), done=(), skipped=())
        return gather(plan, Run(ended=[Ended(test=TEST, outcome="passed")]))

    return refreshed


def test_tiers_go_by_the_cosine_and_by_the_dimensions(refreshed):
    one = turned(0)
    same, near, far, longer = (
        refreshed([answer(one)], [answer(now)]) for now in (one, turned(0.01), turned(0.1), [*one, 0.0])
    )
    assert [each.tier for each in (same, near, far, longer)] == [
        Tier.SAME,
        Tier.WORDING,
        Tier.CHANGED,
        Tier.STRUCTURE,
    ]
    assert [call.reason for call in far.calls] == ["vectors moved, to a cosine of 0.995004"]
    assert [call.reason for call in longer.calls] == ["1 vectors of 3 dimensions, were 1 of 2"]


def test_the_report_says_which_text_it_was(refreshed, project):
    data = as_data(refreshed([answer(turned(0))], [answer(turned(0.1))]), root=project)
    [call] = data["cassettes"][0]["calls"]
    assert (call["model"], call["asked"], call["tier"]) == (MODEL, "text 0", "changed")


def test_what_is_accepted_call_by_call_keeps_its_vectors_beside_the_file(refreshed, project):
    one, other = turned(0), turned(1)
    [cassette] = refreshed([answer(one), answer(one)], [answer(other), answer(other)]).cassettes
    carry_out_decisions(cassette, {0: Decision.REJECT, 1: Decision.ACCEPT})
    assert list(verify(project / "a.yaml", of_process(()))) == []
    with lmtest.use_cassette("a.yaml", mode="replay"), EmbeddingServer() as nobody:
        first, second = nobody.embedder()("text 0"), nobody.embedder()("text 1")
    assert first.tolist() == pytest.approx(one)
    assert second.tolist() == pytest.approx(other)
    assert nobody.requests == []


def test_another_model_is_tried_out_for_answers_and_not_for_vectors(project, monkeypatch):
    monkeypatch.setenv("LMTEST_REFRESH_TO", "gemini/gemini-2.5-pro")
    with EmbeddingServer() as server:
        for mode in ("record", "refresh"):
            with lmtest.use_cassette("a.yaml", mode=mode, test=TEST):
                server.embedder()("Paris")
    (project / "test_a.py").touch()
    fresh = Index(fresh_path(project / "a.yaml"))
    assert [fresh.read(entry).model for entry in fresh.entries] == [MODEL]
    to = Substitution.parse(["gemini/gemini-2.5-pro"])
    plan = make_plan([project / "a.yaml"], Choice(to=to), root=project)
    assert [job.calls for job in plan.done] == [1]
    [job] = make_plan([project / "a.yaml"], Choice(to=to, again=True), root=project).due
    assert job.usd == 2 * type(job.usd)(PRICE)


def test_the_least_that_it_sets_aside_is_for_its_texts(project):
    (project / "test_a.py").touch()
    with EmbeddingServer() as server, lmtest.use_cassette("a.yaml", mode="record", test=TEST):
        server.embedder()("Paris")
    [job] = make_plan([project / "a.yaml"], Choice(), root=project).due
    assert 0 < job.least < type(job.least)(PRICE) * 100


def test_it_is_not_sent_again_without_its_test(project):
    with EmbeddingServer() as server, lmtest.use_cassette("a.yaml", mode="record"):
        server.embedder()("Paris")
    assert "is an embedding" in why_not(read_calls(project / "a.yaml"))


def test_it_is_never_paired_with_an_answer():
    vectors = Reply(response={"vectors": packed([[1.0]])})
    embedding = Interaction(key="a", request={"model": "m", "embed": ["Paris"]}, outcome=vectors)
    asked = Interaction(key="b", request={"model": "m", "messages": []}, outcome=Reply(response={}))
    assert pair([embedding], [asked]) == [(embedding, None), (None, asked)]

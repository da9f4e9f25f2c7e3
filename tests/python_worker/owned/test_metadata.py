"""Which test a call belongs to, as a client in any language says it: metadata, and what is refused of them."""

import grpc
import pytest

from lmtest.cassette.index import Index
from lmtest.testing import ScriptedProvider, fields, server_error
from python_worker.domain.access import Grant, Tokens
from python_worker.domain.owner import Owner
from python_worker.v1 import worker_pb2 as pb
from python_worker.v1.worker_pb2_grpc import WorkerStub
from python_worker.wire.errors import TRAILER
from python_worker.wire.owner import owner_from_metadata, owner_to_metadata
from python_worker.wire.values import fields_to_wire

from ..calling import digest  # noqa: TID252 - likewise

TEST = ("lmtest-test", "tests/qa.test.js::answers a question")


@pytest.fixture
def worker(host):
    return host("mock")


def execute(worker, *metadata, question="Who?", program="qa", **more):
    request = pb.ExecuteRequest(program=program, inputs=fields_to_wire({"question": question}), **more)
    with grpc.insecure_channel(worker.target) as channel:
        return WorkerStub(channel).Execute(request, metadata=metadata, timeout=60)


def close(worker, *metadata, **request):
    with grpc.insecure_channel(worker.target) as channel:
        return WorkerStub(channel).CloseCassette(pb.CloseCassetteRequest(**request), metadata=metadata, timeout=60)


def refused(call, *arguments, **more):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **more)
    detail = pb.ErrorDetail.FromString(dict(caught.value.trailing_metadata())[TRAILER])
    return caught.value.code().name, detail


def test_a_test_is_named_by_its_id_where_nothing_else_names_its_cassette(suite, host, provider):
    worker = host("record", provider=provider)
    execute(worker, TEST)
    assert suite.cassettes == [], "nobody has said that it passed"
    [report] = close(worker, TEST).reports
    assert (report.mode, report.calls, report.recorded) == ("record", 1, 1)
    assert suite.cassettes == ["tests/qa.test/answers-a-question-81c2c3e3.yaml"]
    assert Index(suite.file(suite.cassettes[0])).header.tests == (TEST[1],)


def test_a_test_that_failed_says_why_and_leaves_nothing(suite, host, provider):
    worker = host("record", provider=provider)
    execute(worker, TEST)
    close(worker, TEST, failed="an assertion")
    assert suite.cassettes == []


def test_closing_what_is_not_open_tells_nothing(worker):
    assert list(close(worker, TEST).reports) == []


def test_closing_needs_a_test(worker):
    status, detail = refused(close, worker)
    assert (status, detail.field) == ("INVALID_ARGUMENT", "lmtest-test")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../outside.yaml", "leaves the cassette directory"),
        ("a/../../outside.yaml", "leaves the cassette directory"),
        ("/etc/hosts.yaml", "leaves the cassette directory"),
        ("C:/hosts.yaml", "leaves the cassette directory"),
        ("a\\..\\b.yaml", "a backslash or a control character"),
        (".hidden/qa.yaml", "begins with a dot"),
        ("a//b.yaml", "is empty, or begins with a dot"),
        ("./b.yaml", "begins with a dot"),
        ("a /b.yaml", "ends in a dot or a space"),
        ("qa.txt", "does not end in .yaml or .yml"),
        ("qa.new.yaml", "what a refresh recorded"),
        ("x" * 300 + ".yaml", "longer than 240 bytes"),
        ("a/" * 600 + "b.yaml", "has 1,206 characters, and may have 1,000"),
        ("link/qa.yaml", "a symbolic link leads it out"),
        ("linked.yaml", "a symbolic link leads it out"),
    ],
)
def test_a_cassette_is_named_inside_the_directory_or_refused(name, why, suite, worker, tmp_path):
    cassettes = suite.path / "cassettes"
    cassettes.mkdir(exist_ok=True)
    (tmp_path / "elsewhere").mkdir()
    (cassettes / "link").symlink_to(tmp_path / "elsewhere")
    (cassettes / "linked.yaml").symlink_to(tmp_path / "elsewhere" / "qa.yaml")
    status, detail = refused(execute, worker, TEST, ("lmtest-cassette", name))
    assert (status, detail.field) == ("INVALID_ARGUMENT", "lmtest-cassette")
    assert why in detail.message
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("metadata", "field", "why"),
    [
        ([("lmtest-cassete", "qa.yaml"), TEST], "lmtest-cassete", "Did you mean 'lmtest-cassette'?"),
        ([("lmtest-mode", "replay")], "lmtest-test", "it is missing"),
        ([("lmtest-test", " ")], "lmtest-test", "it is empty"),
        ([("lmtest-test", "a%zz%ff")], "lmtest-test", "do not read as UTF-8"),
        ([("lmtest-test", "a%0Ab")], "lmtest-test", "cannot be printed"),
        ([("lmtest-test", "a" * 3000)], "lmtest-test", "3,000 characters, and may have 2,000"),
        ([TEST, ("lmtest-sample", "-1")], "lmtest-sample", "can be 0, 1, 2 and so on"),
        ([TEST, ("lmtest-allow-misses", "yes")], "lmtest-allow-misses", "can be true or false"),
        ([TEST, ("lmtest-mode", "relpay")], "lmtest-mode", "Did you mean 'replay'?"),
        ([TEST, ("lmtest-options-bin", b"[1]")], "lmtest-options-bin", "no JSON object"),
        ([TEST, ("lmtest-options-bin", b"{")], "lmtest-options-bin", "does not read as JSON"),
        ([TEST, ("lmtest-options-bin", b'{"rulez": []}')], "lmtest-options-bin", "no option 'rulez'"),
        ([TEST, ("lmtest-options-bin", b'{"ignore": "x"}')], "lmtest-options-bin", "is a list of texts"),
        ([TEST, ("lmtest-options-bin", b'{"rules": [{"wen": 1}]}')], "lmtest-options-bin", "Did you mean 'when'?"),
        ([TEST, ("lmtest-options-bin", b'{"limits": ["usd=1"]}')], "lmtest-options-bin", "no limit"),
        ([TEST, ("lmtest-options-bin", b'"' + b"x" * 40_000 + b'"')], "lmtest-options-bin", "may have 32,768"),
    ],
)
def test_what_does_not_read_is_refused_with_its_key(metadata, field, why, worker):
    status, detail = refused(execute, worker, *metadata)
    assert (status, detail.field) == ("INVALID_ARGUMENT", field)
    assert why in detail.message


def test_metadata_say_what_the_client_meant():
    owner = Owner(
        test="täst.py::test_[100%]",
        cassette="a/b.yaml",
        mode="record",
        run="r1",
        sample=3,
        command="npm test",
        allow_misses=True,
        keep_others=True,
        shares="one",
        options={"rules": [{"when": "ä", "reply": "ö"}]},
    )
    told = owner_to_metadata(owner)
    assert all(value.isascii() for key, value in told if not key.endswith("-bin"))
    assert owner_from_metadata(told) == owner


def test_an_option_as_big_as_may_be_arrives(worker):
    rules = [{"when": "Who?", "reply": {"answer": "x" * 32_000}}]
    metadata = owner_to_metadata(Owner(test="a.js::big", options={"rules": rules}))
    assert len(execute(worker, *metadata).outputs["answer"].string) == 32_000


def test_each_sample_plays_from_the_first_recording(suite, host):
    with ScriptedProvider([fields(answer="one"), fields(answer="two")]) as dice:
        recorder = host("record", provider=dice)
        execute(recorder, TEST)
        execute(recorder, TEST)
        close(recorder, TEST)
    player = host("replay")
    for sample in ("0", "1"):
        asked = (TEST, ("lmtest-sample", sample))
        assert [execute(player, *asked).outputs["answer"].string for _ in range(2)] == ["one", "two"]


def test_what_is_kept_open_is_saved_and_played_on(suite, host):
    shared = (TEST, ("lmtest-opening", "the class"))
    with ScriptedProvider([fields(answer="one"), fields(answer="two")]) as dice:
        recorder = host("record", provider=dice)
        for number in (1, 2):
            execute(recorder, *shared)
            [report] = close(recorder, *shared, keep_open=True).reports
            assert (report.calls, report.recorded) == (1, 1)
            assert suite.entries(suite.cassettes[0]) == number


def test_of_an_execution_that_was_tried_again_the_attempt_that_went_well_is_recorded(suite, host):
    thought, compared = fields(reasoning="So.", answer="Paris"), fields(rationale="Both.", answer="Paris")
    script = [thought, thought, server_error(503), thought, thought, compared]
    with ScriptedProvider(script) as shaky:
        worker = host("record", provider=shaky)
        worker.client.create_program(
            "chain",
            signature="signature qa: :string question -> :string answer",
            module="MultiChainComparison",
            module_options={"m": 2},
        )
        execute(worker, TEST, program="chain", retries=1)
        [report] = close(worker, TEST).reports
    assert report.recorded == 3
    player = host("replay")
    player.client.create_program(
        "chain",
        signature="signature qa: :string question -> :string answer",
        module="MultiChainComparison",
        module_options={"m": 2},
    )
    assert execute(player, TEST, program="chain").outputs["answer"].string == "Paris"
    [report] = close(player, TEST).reports
    assert (report.played, list(report.unplayed)) == (3, [])


def test_an_execution_that_fails_for_its_outputs_is_recorded_and_fails_alike_in_replay(suite, host):
    text = "signature rated: :string question -> :confidence_score confidence"
    with ScriptedProvider([fields(confidence=7)]) as wild:
        worker = host("record", provider=wild)
        worker.client.create_program("rated", signature=text)
        assert refused(execute, worker, TEST, program="rated")[1].reason == "constraint_violation"
        close(worker, TEST)
    player = host("replay")
    player.client.create_program("rated", signature=text)
    assert refused(execute, player, TEST, program="rated")[1].reason == "constraint_violation"


@pytest.fixture
def guarded(host):
    grants = {
        "for tests": Grant(name="ci", cassettes=True),
        "for all": Grant(name="operator"),
        "for one session": Grant(name="ada", sessions=("ada",), cassettes=True),
    }
    worker = host("mock", tokens=Tokens({digest(token): grant for token, grant in grants.items()}))
    bearer = ("authorization", "Bearer for all")
    with grpc.insecure_channel(worker.target) as channel:
        request = pb.CreateProgramRequest(
            name="qa", signature="signature qa: :string question -> :string answer", module="Predict"
        )
        WorkerStub(channel).CreateProgram(request, metadata=[bearer], timeout=60)
    return worker


def test_only_a_token_that_may_names_a_test(guarded):
    allowed, denied = (("authorization", f"Bearer {token}") for token in ("for tests", "for all"))
    assert execute(guarded, allowed, TEST).outputs["answer"].string
    assert len(close(guarded, allowed, TEST).reports) == 1
    assert execute(guarded, denied).outputs["answer"].string, "without a test it may as ever"
    for call in (execute, close):
        status, detail = refused(call, guarded, denied, TEST)
        assert status == "PERMISSION_DENIED"
        assert "'cassettes = true' in [operator]" in detail.message


def test_only_a_token_that_may_has_a_cassette_recorded_anew(guarded):
    allowed, denied = (("authorization", f"Bearer {token}") for token in ("for tests", "for all"))
    anew = ("lmtest-refresh", "true")
    status, detail = refused(execute, guarded, denied, anew)
    assert status == "PERMISSION_DENIED"
    assert "'cassettes = true' in [operator]" in detail.message
    status, detail = refused(execute, guarded, allowed, anew)
    assert (status, detail.reason) == ("FAILED_PRECONDITION", "configuration"), "a worker that mocks calls nobody"


@pytest.mark.parametrize("metadata", [[("lmtest-refresh", "yes")], [("lmtest-refresh", "true"), ("lmtest-test", "t")]])
def test_recording_anew_is_asked_for_in_one_way(host, metadata):
    status, detail = refused(execute, host("mock"), *metadata)
    assert (status, detail.field) == ("INVALID_ARGUMENT", "lmtest-refresh")


def test_a_token_closes_what_it_opened_itself(guarded):
    execute(guarded, ("authorization", "Bearer for tests"), TEST)
    mine = ("authorization", "Bearer for one session")
    assert list(close(guarded, mine, TEST).reports) == []


def test_a_session_with_a_mode_of_its_own_keeps_it(suite, host, provider):
    from python_worker.client import SessionLM

    worker = host("record", provider=provider)
    worker.client.session("mocked", lm=SessionLM(mode="mock"))
    execute(worker, TEST, ("lmtest-mode", "record"), session="mocked")
    [report] = close(worker, TEST, ("lmtest-mode", "record")).reports
    assert (report.mode, report.recorded) == ("mock", 0)
    assert suite.cassettes == []


def test_a_mocked_test_leaves_no_file(suite, worker):
    execute(worker, TEST)
    close(worker, TEST)
    assert list(suite.path.glob("cassettes/**/*.yaml")) == []

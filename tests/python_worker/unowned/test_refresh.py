"""``python -m python_worker refresh``: what a service recorded, executed anew, compared and accepted."""

import json
import signal
import subprocess
import sys

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

import lmtest
from lmtest.cassette.index import Index
from lmtest.testing import server_error, timeout
from python_worker.__main__ import cli
from python_worker.client import SessionLM
from python_worker.store import AuditLog, tables

from ..calling import refused, wait_until  # noqa: TID252 - tests are no installed package
from .conftest import FRANCE, SPAIN, answer, header, sha256


def calls_of(cassette):
    index = Index(cassette)
    return [index.read(entry) for entry in index.entries]


def told(path):
    return json.loads(path.read_text())


@pytest.fixture
def refreshed(service, provider, tmp_path):
    """Record one answer, have another given, and tell what the refresh reports of it."""

    def run(before, after, *options, code=0, **settings):
        recorded = service(before, **settings)
        recorded.ask(FRANCE)
        recorded.refresh("--yes", "--report", "drift.json", *options, api_base=provider(after).url, code=code)
        (cassette,) = told(tmp_path / "drift.json")["cassettes"]
        return recorded, cassette

    return run


@pytest.mark.parametrize(
    ("now", "tier"),
    [("Paris", "same"), ("paris.", "wording"), ("Lyon", "changed")],
    ids=["same", "reworded", "changed"],
)
def test_an_answer_is_in_the_tier_of_what_the_program_gives_for_it(refreshed, now, tier):
    recorded, drift = refreshed(answer("Paris"), answer(now))
    assert (drift["tier"], drift["acceptable"]) == (tier, True)
    changes = [{"field": "answer", "before": "Paris", "after": now, "wording": tier == "wording"}]
    assert drift["outputs"] == ([] if tier == "same" else changes)
    (cassette,) = recorded.cassettes
    assert recorded.beside(cassette) == [f"{cassette.stem}.new.yaml"]
    assert "Paris" in cassette.read_text()


def test_an_output_of_another_type_than_text_is_compared_as_what_it_is(refreshed):
    _, drift = refreshed(answer("Paris", 0.9), answer("Paris", 0.90001))
    assert drift["tier"] == "changed"
    assert drift["outputs"] == [{"field": "confidence", "before": 0.9, "after": 0.90001, "wording": False}]


def test_a_number_that_is_written_otherwise_is_the_same_output(refreshed):
    _, drift = refreshed(answer("Paris", "0.9"), answer("Paris", "0.90"))
    assert drift["outputs"] == []


def test_a_malformed_answer_is_another_structure_and_cannot_be_accepted(refreshed):
    recorded, drift = refreshed(answer("Paris"), "I would rather not say.", code=1)
    assert (drift["tier"], drift["acceptable"]) == ("structure", False)
    (cassette,) = recorded.cassettes
    assert recorded.beside(cassette) == [f"{cassette.stem}.failed.yaml"]
    recorded.lmtest("accept", "--tier", "all", str(cassette), code=1)
    assert "Paris" in cassette.read_text()


def test_outputs_that_break_the_signature_are_another_structure(refreshed):
    _, drift = refreshed(answer("Paris", 0.9), answer("Paris", 1.5), code=1)
    assert (drift["tier"], drift["acceptable"]) == ("structure", False)
    assert drift["failure"].startswith("constraint_violation: ")


def test_a_refused_call_failed_and_where_no_call_was_answered_the_exit_code_says_so(refreshed):
    _, drift = refreshed(answer("Paris"), server_error(503), code=lmtest.Exit.UNANSWERED)
    assert (drift["tier"], drift["acceptable"]) == ("failed", False)
    assert "provider_failure" in drift["failure"]


def test_nothing_is_replaced_until_it_is_accepted(refreshed, live):
    recorded, _ = refreshed(answer("Paris"), answer("Lyon"))
    (cassette,) = recorded.cassettes
    before = cassette.read_bytes()
    anew = cassette.with_suffix(".new.yaml").read_bytes()
    recorded.refresh("--yes")
    assert (cassette.read_bytes(), cassette.with_suffix(".new.yaml").read_bytes()) == (before, anew)
    recorded.lmtest("accept", "--tier", "all")
    assert cassette.read_bytes() == anew
    assert recorded.beside(cassette) == []
    player = live(mode=lmtest.Mode.REPLAY)
    assert player.client.execute("qa", {"question": FRANCE}).outputs["answer"] == "Lyon"


def test_what_moved_no_further_is_accepted_unseen(refreshed):
    recorded, _ = refreshed(answer("Paris"), answer("paris"), "--accept", "wording")
    (cassette,) = recorded.cassettes
    assert "paris" in cassette.read_text()
    assert recorded.beside(cassette) == []


def test_a_tier_to_fail_on_is_told_by_the_exit_code(refreshed):
    refreshed(answer("Paris"), answer("Lyon"), "--fail-on", "changed", code=1)


def test_the_accepted_header_tells_the_execution_that_recorded_it_and_keeps_what_it_does_not_know(service, provider):
    recorded = service(answer("Paris"), audit_values=True)
    first = recorded.ask(FRANCE)
    (cassette,) = recorded.cassettes
    cassette.write_text(cassette.read_text().replace("\n---\n", "\nreviewed_by: ada\n---\n", 1))
    recorded.refresh("--yes", "--accept", "all", "--audit", "values", api_base=provider(answer("Lyon")).url)
    now = header(cassette)
    assert now.further == {"reviewed_by": "ada"}
    assert now.executed["execution"] != first.id
    assert now.executed["inputs"] == {"question": FRANCE}


def test_a_dry_run_plans_and_needs_no_key(service, monkeypatch):
    recorded = service(answer("Paris"))
    recorded.ask(FRANCE)
    monkeypatch.delenv("GEMINI_API_KEY")
    told = recorded.refresh("--dry-run")
    (cassette,) = recorded.cassettes
    assert f"cassettes/qa/{cassette.name}" in told
    assert recorded.beside(cassette) == []
    error = CliRunner().invoke(cli, ["refresh", "--data-dir", "live-0", "--yes"]).exception
    assert "GEMINI_API_KEY or GOOGLE_API_KEY is not set" in str(error)


def test_only_the_programs_that_are_named_and_are_old_enough_are_due(service):
    recorded = service(answer("Paris"), answer("Rome"))
    recorded.ask(FRANCE)
    recorded.worker.client.create_program("other", signature="qa")
    recorded.worker.client.execute("other", {"question": FRANCE})
    both = recorded.refresh("--dry-run")
    assert "cassettes/qa/" in both
    assert "cassettes/other/" in both
    assert "cassettes/qa/" not in recorded.refresh("other", "--dry-run")
    assert "Nothing is due" in recorded.refresh("--dry-run", "--older-than", "30d")


def test_what_only_a_hash_is_kept_of_is_skipped_by_name(service, tmp_path, live):
    recorded = service(answer("Paris"))
    recorded.ask(FRANCE)
    live(mode=lmtest.Mode.LIVE)  # a database without that execution
    told = recorded.run("refresh", "--data-dir", "live-1", "--dry-run")
    (cassette,) = recorded.cassettes
    assert f"cassettes/qa/{cassette.name}: nobody has its inputs" in told
    assert "serve --audit values" in told


def test_inputs_of_the_header_will_do_where_nothing_was_taken_out_of_them(service, provider, live, tmp_path):
    recorded = service(answer("Paris"), answer("no"), audit_values=True)
    recorded.ask(FRANCE)
    recorded.ask("Is sk-abcdefghijklmnopqrstuvwxyz1234567890 a key?")
    live(mode=lmtest.Mode.LIVE)
    url = provider(answer("Lyon")).url
    told = recorded.run(
        "refresh", "--data-dir", "live-1", "--yes", "--report", "drift.json", "--api-base", f"{url}/v1beta"
    )
    assert "is-a-key-" in told
    assert "nobody has its inputs" in told
    (drift,) = json.loads((tmp_path / "drift.json").read_text())["cassettes"]
    assert (drift["tier"], drift["outputs"]) == ("changed", [])


def test_what_was_recorded_before_headers_told_is_skipped_by_name(service):
    recorded = service(answer("Paris"))
    recorded.ask(FRANCE)
    (cassette,) = recorded.cassettes
    head, _, rest = cassette.read_text().partition("executed:")
    cassette.write_text(head + rest[rest.index("---") :])
    told = recorded.refresh("qa", "--dry-run")
    assert f"cassettes/qa/{cassette.name}: its header does not tell what was executed" in told


def test_a_budget_stops_before_it_is_spent_and_the_same_command_goes_on(service, provider, tmp_path):
    recorded = service(answer("Paris"), answer("Madrid"))
    recorded.ask(FRANCE)
    recorded.ask(SPAIN)
    asked = provider(answer("Lyon"), answer("Seville"))
    for how in ((), ("--worker", recorded.worker.target)):
        told = recorded.refresh(*how, "--yes", "--budget", "0.000001", api_base=asked.url, code=lmtest.Exit.LIMIT)
        assert "Stopped early: the next execution would cost $" in told
        assert asked.requests == []
        assert [recorded.beside(each) for each in recorded.cassettes] == [[], []]
    usd = sum(each.cost for each in calls_of(recorded.cassettes[0]))
    told = recorded.refresh("--yes", "--budget", f"{usd * 2:f}", api_base=asked.url, code=lmtest.Exit.LIMIT)
    assert "budget_exceeded" in told
    assert asked.requests == [], "what an answer may cost at most is set aside before it is asked for"
    assert [recorded.beside(each) for each in recorded.cassettes] == [[], []]
    recorded.refresh("--yes", "--budget", "0.50", api_base=asked.url)
    assert [len(recorded.beside(each)) for each in recorded.cassettes] == [1, 1]


def test_each_refresh_is_on_record_with_what_it_recorded(refreshed):
    recorded, _ = refreshed(answer("Paris"), answer("Lyon"))
    (cassette,) = recorded.cassettes
    ((execution_id, anew),) = AuditLog(recorded.worker.database).refreshed()
    assert (anew.path, anew.ended_well) == (f"qa/{cassette.name}", True)
    assert anew.sha256 == sha256(cassette.with_suffix(".new.yaml"))
    assert AuditLog(recorded.worker.database).verify()[1] == []
    shown = recorded.run("audit", "show", execution_id, "--data-dir", "live-0")
    assert f"qa/{cassette.name}: recorded anew, sha256 {anew.sha256[:12]}" in shown


def test_a_refresh_that_failed_is_on_record_without_what_an_earlier_one_wrote(refreshed, provider):
    recorded, _ = refreshed(answer("Paris"), answer("Lyon"))
    recorded.worker.client.delete_program("qa")
    recorded.worker.client.create_program("qa", signature="signature qa: :string question -> :integer answer")
    url = provider(answer("many")).url
    recorded.refresh("--yes", "--again", api_base=url, code=lmtest.Exit.FOUND)
    (_, first), (_, second) = AuditLog(recorded.worker.database).refreshed()
    assert (first.ended_well, second.ended_well) == (True, False)
    assert second.sha256 != first.sha256


def test_a_worker_that_runs_executes_it_too(service, tmp_path):
    recorded = service(answer("Paris"), answer("Lyon"))
    recorded.ask(FRANCE)
    recorded.run("refresh", "--worker", recorded.worker.target, "--yes", "--report", "drift.json")
    (drift,) = told(tmp_path / "drift.json")["cassettes"]
    assert (drift["tier"], drift["acceptable"]) == ("changed", True)
    assert [each["after"] for each in drift["outputs"]] == ["Lyon"]
    with recorded.worker.database.read() as connection:
        kinds = connection.scalars(sa.select(tables.audit_events.c.kind)).all()
    assert kinds.count("cassette_refreshed") == 1


def test_a_worker_that_is_kept_off_the_network_says_so(service, live):
    recorded = service(answer("Paris"))
    recorded.ask(FRANCE)
    player = live(mode=lmtest.Mode.REPLAY)
    error = refused(player.client.refresh, "qa", {"question": FRANCE})
    assert "off the network" in error.message
    assert "--lm-mode record" in error.message


def test_a_worker_with_another_directory_is_told(service, tmp_path):
    recorded = service(answer("Paris"), answer("Lyon"))
    recorded.ask(FRANCE)
    (tmp_path / "cassettes").rename(tmp_path / "moved")
    told = recorded.run(
        "refresh", "--worker", recorded.worker.target, "--cassette-dir", "moved", "--yes", code=lmtest.Exit.FOUND
    )
    assert "does the worker have the same --cassette-dir" in told


def test_a_program_that_is_gone_is_told_and_the_rest_is_refreshed(service, provider, tmp_path):
    recorded = service(answer("Paris"), answer("Rome"))
    recorded.ask(FRANCE)
    recorded.worker.client.create_program("other", signature="qa")
    recorded.worker.client.execute("other", {"question": FRANCE})
    recorded.worker.client.delete_program("other")
    recorded.refresh("--yes", "--report", "drift.json", api_base=provider(answer("Lyon")).url, code=1)
    drifts = {each["path"].split("/")[1]: each for each in told(tmp_path / "drift.json")["cassettes"]}
    assert drifts["qa"]["acceptable"]
    assert "not_found" in drifts["other"]["failure"]


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(service, provider, tmp_path):
    recorded = service(answer("Paris"), answer("Madrid"))
    recorded.ask(FRANCE)
    recorded.ask(SPAIN)
    before = [each.read_bytes() for each in recorded.cassettes]
    stalls = provider(answer("Lyon"), timeout())
    command = [sys.executable, "-m", "python_worker", "refresh", "--data-dir", "live-0", "--yes"]
    with subprocess.Popen(
        [*command, "--api-base", f"{stalls.url}/v1beta"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        wait_until(lambda: len(stalls.requests) == 2)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[0]
    assert process.returncode == lmtest.Exit.INTERRUPTED, told
    assert "Stopped early: interrupted" in told
    assert [each.read_bytes() for each in recorded.cassettes] == before
    assert sorted(len(recorded.beside(each)) for each in recorded.cassettes) == [0, 1]
    asked = provider(answer("Seville"))
    recorded.refresh("--yes", api_base=asked.url)
    assert len(asked.requests) == 1
    assert [len(recorded.beside(each)) for each in recorded.cassettes] == [1, 1]


def test_a_session_is_executed_in_as_it_was_and_one_that_has_ended_is_told(service, provider, tmp_path):
    recorded = service(answer("Paris"), answer("Rome"))
    for name in ("ada", "bob"):
        recorded.worker.client.session(name, lm=SessionLM(cassette_dir=f"users/{name}"))
        recorded.worker.client.execute("qa", {"question": FRANCE}, session=name)
    assert [header(each).executed["session"] for each in recorded.cassettes] == ["ada", "bob"]
    recorded.worker.client.session("bob").end()
    recorded.refresh("--yes", "--report", "drift.json", api_base=provider(answer("Lyon")).url, code=lmtest.Exit.FOUND)
    drifts = {each["path"].split("/")[2]: each for each in told(tmp_path / "drift.json")["cassettes"]}
    assert drifts["ada"]["acceptable"]
    assert "not_found" in drifts["bob"]["failure"]


def test_the_command_runs_in_a_process_of_its_own(service, provider, tmp_path):
    recorded = service(answer("Paris"))
    recorded.ask(FRANCE)
    url = f"{provider(answer('Lyon')).url}/v1beta"
    command = [sys.executable, "-m", "python_worker", "refresh", "qa", "--data-dir", "live-0", "--yes"]
    result = subprocess.run(
        [*command, "--api-base", url], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "changed" in result.stdout
    assert "output answer: [-Paris-]{+Lyon+}" in result.stdout

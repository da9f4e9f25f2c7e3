"""``audit``, ``backup`` and ``restore`` as an operator runs them."""

import json
import re
import stat
import subprocess
import sys
from datetime import timedelta

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from python_worker.__main__ import cli
from python_worker.store import FILE_NAME, Database, SqlExecutions

from .records import EVENTS, NOON, keep_program, run, tamper

LONG_AGO = NOON - timedelta(days=400)


@pytest.fixture
def worked(tmp_path, monkeypatch):
    """A folder that a worker was started in, with executions old and new."""
    monkeypatch.chdir(tmp_path)
    database = Database.in_directory(tmp_path / ".lmtest" / "worker")
    database.migrate()
    keep_program(database)
    executions = SqlExecutions(database)
    run(executions, "exec_old", session="ada", at=LONG_AGO, asked_by="adas-token")
    run(executions, "exec_new", at=NOON)
    database.close()
    return tmp_path


@pytest.fixture
def key(worked):
    invoke("audit", "keygen", "audit.key")
    return "audit.key"


def invoke(*arguments, code=0):
    """What a command tells; of one that fails, with what went wrong."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == code, (result.output, result.exception)
    return result.output if code else result.stdout


def refusal(*arguments):
    """The one sentence of a command that cannot do what it was told, from a process of its own."""
    command = [sys.executable, "-m", "python_worker", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    (line,) = result.stderr.splitlines()
    assert (result.returncode, result.stdout) == (2, "")
    return line


def test_list_tells_the_executions_on_record_the_newest_first(worked):
    new, old = invoke("audit", "list").splitlines()
    assert new.split() == ["2026-11-20T12:00:00+00:00"[:23], "succeeded", "exec_new", "answers", "(worker)"]
    assert old.split()[1:] == ["succeeded", "exec_old", "answers", "ada", "adas-token"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["--session", "ada"], ["exec_old"]),
        (["--session", ""], ["exec_new"]),
        (["--asked-by", "adas-token"], ["exec_old"]),
        (["--status", "succeeded"], ["exec_new", "exec_old"]),
        (["--status", "failed"], []),
        (["--program", "prog_1"], ["exec_new", "exec_old"]),
        (["--program", "answers", "--session", "ada"], ["exec_old"]),
        (["--since", "2026-11-20"], ["exec_new"]),
        (["--until", "2026-11-20"], ["exec_old"]),
        (["--limit", "1"], ["exec_new"]),
    ],
)
def test_list_tells_what_is_wanted_alone(worked, wanted, found):
    assert [line.split()[2] for line in invoke("audit", "list", *wanted).splitlines()] == found


def test_list_that_stops_early_leaves_the_database_closed(worked):
    invoke("audit", "list", "--limit", "1")
    assert not (worked / ".lmtest" / "worker" / f"{FILE_NAME}-wal").exists()  # SQLite's, until the last one is closed


def test_list_of_a_session_that_is_not_on_record_names_the_nearest_and_the_command_that_tells_them(worked):
    told = "no session 'adda' is on record; did you mean 'ada'? `python -m python_worker audit list` tells whose"
    assert told in refusal("audit", "list", "--session", "adda")
    assert "no session 'bob' is on record. `python -m" in refusal("audit", "list", "--session", "bob")


def test_list_of_a_program_that_never_was_names_the_nearest(worked):
    told = refusal("audit", "list", "--program", "anwsers")
    assert told.endswith("there never was a program 'anwsers'. Did you mean 'answers'?")


def test_list_of_a_session_without_a_fitting_execution_is_no_error(worked):
    result = CliRunner().invoke(cli, ["audit", "list", "--session", "ada", "--status", "failed"])
    assert (result.exit_code, result.output) == (0, "no execution of session 'ada' on record fits\n")


def test_show_tells_who_asked_and_every_call_of_models_and_tools(worked):
    first, *lines = invoke("audit", "show", "exec_old").splitlines()
    assert first == "exec_old  succeeded  inline  chain ada  asked by adas-token"
    assert [line.split()[0] for line in lines if line.startswith(" " * 20)] == ["cassette", "recorded", "client"]


@pytest.mark.parametrize("said", ["exec_o", "exec_old"])
def test_show_takes_what_an_id_begins_with(worked, said):
    assert invoke("audit", "show", said).startswith("exec_old  succeeded")


def test_show_names_the_executions_whose_ids_begin_alike(worked):
    told = refusal("audit", "show", "exec_")
    assert told.endswith("2 executions have an id that begins with 'exec_': exec_new, exec_old. Say more of it.")
    assert "no execution 'exec_none'" in refusal("audit", "show", "exec_none")


@pytest.mark.parametrize("how", [[], ["--file"]])
def test_verify_proves_an_export_that_is_named(worked, key, how):
    invoke("audit", "export", "all.jsonl", "--key", key)
    assert "all hold" in invoke("audit", "verify", *how, "all.jsonl", "--public-key", "audit.key.pub")


def test_keygen_makes_a_key_that_only_its_owner_reads_and_never_writes_over_one(worked):
    told = invoke("audit", "keygen", "audit.key")
    assert re.fullmatch(r"audit\.key signs, audit\.key\.pub proves: key [0-9a-f]{12}…\n", told)
    assert stat.S_IMODE((worked / "audit.key").stat().st_mode) == 0o600
    made = (worked / "audit.key").read_bytes()
    load_pem_private_key(made, password=None)
    assert "never written over" in refusal("audit", "keygen", "audit.key")
    assert (worked / "audit.key").read_bytes() == made
    (worked / "other.key.pub").write_text("mine")
    assert "never written over" in refusal("audit", "keygen", "other.key")
    assert not (worked / "other.key").exists()


def test_an_export_is_proved_without_the_database(worked, key):
    invoke("audit", "export", "trail.jsonl", "--key", key)
    (worked / ".lmtest" / "worker" / FILE_NAME).unlink()
    told = invoke("audit", "verify", "--file", "trail.jsonl", "--public-key", "audit.key.pub")
    assert told == f"{2 * EVENTS + 2} events, all hold\n"
    kinds = [json.loads(line)["type"] for line in (worked / "trail.jsonl").read_text().splitlines()]
    assert (kinds[0], kinds[-1], kinds.count("chain")) == ("export", "head", 2)


def test_an_export_that_was_changed_exits_with_1_and_names_the_event(worked, key):
    invoke("audit", "export", "trail.jsonl", "--key", key, "--session", "ada")
    file = worked / "trail.jsonl"
    file.write_text(file.read_text().replace("output_validation", "output_violation"))
    first, *_, last = invoke(
        "audit", "verify", "--file", "trail.jsonl", "--public-key", "audit.key.pub", code=1
    ).splitlines()
    assert first.startswith("chain 'ada', event 5 (execution exec_old): its content differs")
    assert last == f"{EVENTS} events, 2 breaks"


def test_an_export_is_never_written_over(worked, key):
    (worked / "trail.jsonl").write_text("mine")
    assert "is there already: choose another name" in refusal("audit", "export", "trail.jsonl", "--key", key)
    assert (worked / "trail.jsonl").read_text() == "mine"
    assert not list(worked.glob("*.part"))


def test_verify_names_what_was_tampered_with(worked):
    database = Database.in_directory(worked / ".lmtest" / "worker")
    tamper(database, "UPDATE audit_events SET payload = '{}' WHERE chain = 'ada' AND sequence = 2")
    database.close()
    first, last = invoke("audit", "verify", code=1).splitlines()
    assert first.startswith("chain 'ada', event 2 (execution exec_old)")
    assert last == f"{2 * EVENTS + 2} events, 1 break"


def test_verify_sees_that_the_database_goes_on_from_an_export(worked, key):
    invoke("audit", "export", "trail.jsonl", "--key", key)
    arguments = "audit", "verify", "--against", "trail.jsonl", "--public-key", "audit.key.pub"
    assert invoke(*arguments) == f"{2 * EVENTS + 2} events, all hold\n"
    database = Database.in_directory(worked / ".lmtest" / "worker")
    tamper(
        database,
        "DELETE FROM audit_events WHERE chain = 'ada'",
        "DELETE FROM audit_heads WHERE chain = 'ada'",
        "DELETE FROM executions WHERE id = 'exec_old'",
    )
    database.close()
    assert invoke("audit", "verify") == f"{EVENTS + 2} events, all hold\n"
    assert "chain 'ada', event 7: it is not the one that the export was signed over" in invoke(*arguments, code=1)


def test_truncate_keeps_what_goes_and_the_rest_is_proved_by_the_key(worked, key):
    told = invoke("audit", "truncate", "--before", "2026-01-01", "--key", key, "--export", "old.jsonl", "--by", "root")
    assert told == f"chain 'ada': {EVENTS} events removed, up to event {EVENTS}\n{EVENTS} events removed\n"
    proof = "--public-key", "audit.key.pub"
    assert invoke("audit", "verify", "--file", "old.jsonl", *proof) == f"{EVENTS} events, all hold\n"
    assert invoke("audit", "verify", *proof) == f"{EVENTS + 3} events, all hold\n"
    assert "needs --public-key to be proved" in invoke("audit", "verify", code=1)
    assert len(invoke("audit", "list").splitlines()) == 1


@pytest.mark.parametrize("more", [[], ["--export", "old.jsonl", "--without-export"]])
def test_truncate_wants_to_be_told_what_becomes_of_what_goes(worked, key, more):
    told = refusal("audit", "truncate", "--before", "2026-01-01", "--key", key, *more)
    assert "name a new file for it with --export FILE, or say --without-export" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["export", "x.jsonl", "--key", "nowhere"], "--key 'nowhere' cannot be read"),
        (["export", "x.jsonl", "--key", "audit.key.pub"], "does not read as a private key"),
        (["verify", "--public-key", "audit.key"], "does not read as a public key"),
        (["verify", "--file", "nowhere"], "'nowhere' cannot be read"),
        (
            ["export", "x.jsonl", "--key", "audit.key", "--session", "adda"],
            "no session 'adda' is on record; did you",
        ),
    ],
)
def test_a_key_or_a_file_that_is_none_is_a_sentence(worked, key, arguments, says):
    assert says in refusal("audit", *arguments)
    assert not (worked / "x.jsonl").exists()


def test_a_backup_is_restored_elsewhere(worked):
    told = invoke("backup", "backup.jsonl")
    rows = re.fullmatch(r"(\d+) rows backed up to backup\.jsonl\n", told)[1]
    assert stat.S_IMODE((worked / "backup.jsonl").stat().st_mode) == 0o600
    told = invoke("restore", "backup.jsonl", "--data-dir", "elsewhere")
    assert told == f"{rows} rows restored from backup.jsonl; the audit trail holds\n"
    assert invoke("audit", "list", "--data-dir", "elsewhere") == invoke("audit", "list")


def test_a_backup_goes_from_sqlite_to_postgresql_and_back(worked, postgres_url):
    invoke("backup", "there.jsonl")
    invoke("restore", "there.jsonl", "--database-url", postgres_url)
    invoke("backup", "back.jsonl", "--database-url", postgres_url)
    invoke("restore", "back.jsonl", "--data-dir", "back")
    assert invoke("audit", "verify", "--data-dir", "back") == invoke("audit", "verify")
    there, back = ((worked / name).read_text().splitlines() for name in ("there.jsonl", "back.jsonl"))
    assert there[1:-1] == back[1:-1]


def test_a_backup_that_is_not_whole_leaves_no_database(worked):
    invoke("backup", "backup.jsonl")
    file = worked / "backup.jsonl"
    file.write_bytes(file.read_bytes()[:-100])
    assert "cannot be restored: it is not whole" in refusal("restore", "backup.jsonl", "--data-dir", "elsewhere")
    assert not (worked / "elsewhere" / FILE_NAME).exists()


def test_a_worker_in_use_is_not_restored_over(worked):
    invoke("backup", "backup.jsonl")
    assert "the database is not empty" in refusal("restore", "backup.jsonl")
    assert len(invoke("audit", "list").splitlines()) == 2


def test_a_status_that_is_none_is_refused_with_those_there_are(worked):
    assert "'failed'" in invoke("audit", "list", "--status", "fail", code=2)


def test_a_list_without_an_execution_says_so_beside_its_output(worked):
    result = CliRunner().invoke(cli, ["audit", "list", "--status", "failed"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no execution on record fits\n")

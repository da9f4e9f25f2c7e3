"""`lmtest ls`, as its user sees it."""

from __future__ import annotations


def test_each_cassette_is_a_line_with_what_it_holds(record, lmtest):
    record("cassettes/a.yaml", ("Why?", "Because."), ("How?", "So."))
    record("cassettes/deeper/b.yaml", ("When?", "Now."))

    result = lmtest("ls")

    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["2", "?", "0.8", "KB", "2026-11-20", "a.yaml"] in lines
    assert ["1", "?", "0.5", "KB", "2026-11-20", "deeper/b.yaml"] in lines
    assert result.stdout.endswith("2 cassettes, 3 calls. Asked: gemini/gemini-2.5-flash. Answered: stand-in.\n")


def test_one_that_does_not_read_is_listed_with_its_reason(record, lmtest):
    record("cassettes/a.yaml", ("Why?", "Because.")).write_text("nothing")

    result = lmtest("ls")

    assert result.exit_code == 1
    assert ["unreadable", "a.yaml"] in [line.split() for line in result.stdout.splitlines()]
    assert "this is not an lmtest cassette" in " ".join(result.stdout.split())  # folded at the terminal's width


def test_one_with_conflict_marks_is_told_by_the_exit_code(record, lmtest):
    path = record("cassettes/a.yaml", ("Why?", "Because."))
    assert lmtest("ls").exit_code == 0
    path.write_text(path.read_text().replace("---", "<<<<<<< ours\n---\n=======\n>>>>>>> theirs\n---", 1))

    result = lmtest("ls")

    assert result.exit_code == 1
    assert "a merge conflict is not resolved" in " ".join(result.stdout.split())


def test_no_cassettes_say_how_to_record_some(lmtest):
    assert "Record some: LM_MODE=record pytest" in lmtest("ls").stdout


def test_hidden_files_and_blobs_are_no_cassettes(record, lmtest, project):
    record("cassettes/a.yaml", ("Why?", "Because."))
    (project / "cassettes/.a.yaml.tmp.yaml").write_text("half")
    (project / "cassettes/blobs").mkdir()
    (project / "cassettes/blobs/x.yaml").write_text("a blob")

    assert "\n1 cassette, 1 call. " in lmtest("ls").stdout


def test_what_a_refresh_left_to_be_accepted_is_not_one_yet(record, lmtest):
    for name in ("a.yaml", "a.new.yaml", "a.failed.yaml"):
        record(f"cassettes/{name}", ("Why?", "Because."))

    assert "\n1 cassette, 1 call. " in lmtest("ls").stdout

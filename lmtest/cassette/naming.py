"""The name of a test's cassette: stable, short enough for any file system, readable in a listing, and never outside."""

from __future__ import annotations

import functools
import hashlib
import os
import posixpath
import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Final

from lmtest.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

LONGEST: Final = 120
"""Characters of a file name, well under what any file system allows."""

_LONGEST_NAME: Final = 1_000
_LONGEST_PART: Final = 240  # a file beside it has a longer name
_PENDING: Final = (".new.yaml", ".failed.yaml", ".new.yml", ".failed.yml")
_PLAIN = re.compile(r"(?:[\w=\[\],+-][\w.=\[\],+-]{0,99}(?<!\.)/){0,8}[\w=\[\],+-][\w.=\[\],+-]{0,150}\.yaml", re.ASCII)
"""What nothing is wrong with; others are looked at more closely."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._=\[\],+-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


def cassette_of_test(test: str) -> str:
    """Name the cassette of a test by its id alone, relative to the cassette directory.

    >>> cassette_of_test("tests/test_qa.py::TestQA::test_capital[fr]")
    'tests/test_qa/TestQA.test_capital[fr].yaml'
    >>> cassette_of_test("tests/qa.test.js::answers a question")
    'tests/qa.test/answers-a-question-81c2c3e3.yaml'
    """
    before, bracket, parameters = test.partition("[")
    _, *inner = before.split("::")
    folder = folder_of(before)
    name = file_name(".".join(inner) or folder.name, parameters.removesuffix("]") if bracket else "")
    return str(folder / name) if inner else str(folder.with_name(name))


def folder_of(test: str) -> PurePosixPath:
    """Give the folder of a test's module; of one from outside the root directory, inside too.

    >>> folder_of("../tests/test_qa.py::test_capital")
    PurePosixPath('tests/test_qa')
    """
    module = PurePosixPath(test.partition("[")[0].partition("::")[0])
    inside = [part for part in module.with_suffix("").parts if part not in {"..", "/"}]
    return PurePosixPath(*inside)


def file_name(test: str, parameters: str = "", *, apart: bool = False) -> str:
    """Join a test's name and its parameters to a file name; what had to be changed or cut is told apart by a hash.

    Args:
        test: The test's name.
        parameters: What stands in brackets.
        apart: Whether another differs in nothing but case: on macOS and Windows that would be one file.

    >>> file_name("test_capital", "fr")
    'test_capital[fr].yaml'
    >>> file_name("test_capital", "a/b")
    'test_capital[a-b]-a3759416.yaml'
    """
    whole = f"{test}[{parameters}]" if parameters else test
    safe = _UNSAFE.sub("-", whole)
    if safe != whole or len(safe) > LONGEST or apart:
        safe = f"{safe[:LONGEST]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
    return f"{safe}.yaml"


def refuse_outside(name: object, *, source: str) -> None:
    """Refuse what is no name of a file in the cassette directory.

    Raises:
        ConfigurationError: It is none.

    >>> refuse_outside("shared/qa", source="the cassette's name")
    """
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"{source} is {name!r}; it is the name of a file, such as 'shared/qa'.")
    normal = posixpath.normpath(name.replace("\\", "/"))
    if normal == ".." or normal.startswith(("../", "/")) or PureWindowsPath(name).is_absolute():
        nearest = normal.replace("../", "").lstrip("/")
        raise ConfigurationError(
            f"{source} is {name!r}, which is outside the cassette directory; give one inside, such as {nearest!r}, or "
            "another directory by the fixture lmtest_cassette_dir."
        )


def cassette_path(directory: Path, *, test: str, name: str = "", source: str = "the cassette's name") -> Path:
    """Find the cassette of a test that another process names.

    Args:
        directory: Where cassettes are.
        test: The test's id.
        name: Its cassette from there, where it is not named by the id.
        source: Who says so, for messages.

    Raises:
        ConfigurationError: It leaves the directory, by symbolic links too, is hidden or pending, or is no YAML file.
    """
    name = name or cassette_of_test(test)
    if _PLAIN.fullmatch(name) is None or name.endswith(_PENDING):
        _refuse_odd(name, source=source)
    path = directory / name
    # A directory is looked at once: who makes links of them there could write the files themselves.
    if _leads_out(os.fspath(path.parent.absolute()), os.fspath(directory.absolute())) or (
        path.is_symlink() and _leads_out.__wrapped__(os.fspath(path), os.fspath(directory))
    ):
        raise ConfigurationError(
            f"{source} is {name[:200]!r}, and a symbolic link leads it out of the cassette directory: name a file "
            "below that, or make the link a directory."
        )
    return path


@functools.lru_cache(maxsize=1_024)
def _leads_out(place: str, directory: str) -> bool:
    real, inside = os.path.realpath(place), os.path.realpath(directory)
    return real != inside and not real.startswith(os.path.join(inside, ""))  # noqa: PTH118 - no Path has a trailing "/"


def _refuse_odd(name: str, *, source: str) -> None:
    parts = name.split("/")
    why = (
        "it is empty"
        if not name.strip()
        else f"it has {len(name):,} characters, and may have {_LONGEST_NAME:,}"
        if len(name) > _LONGEST_NAME
        else "it has a backslash or a control character"
        if _CONTROL.search(name)
        else "it leaves the cassette directory"
        if name.startswith("/") or ".." in parts or PureWindowsPath(name).drive
        else "a part of it is empty, or begins with a dot"
        if any(not part or part.startswith(".") for part in parts)
        else f"a part of it ends in a dot or a space, or is longer than {_LONGEST_PART} bytes"
        if any(part[-1] in ". " or len(part.encode(errors="replace")) > _LONGEST_PART for part in parts)
        else "it does not end in .yaml or .yml"
        if not name.lower().endswith((".yaml", ".yml"))
        else "such names are for what a refresh recorded"
        if name.lower().endswith(_PENDING)
        else ""
    )
    if why:
        raise ConfigurationError(
            f"{source} is {name[:200]!r}, and {why}. Give the path of a YAML file below the cassette directory, such "
            "as 'tests/test_qa/test_capital.yaml'."
        )

"""``lmtest signature``: what a signature compiles to, or why it does not."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

import lmtest
from python_worker.domain.errors import WorkerError
from python_worker.extra import MissingExtra, needed_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_worker.domain.field import Field
    from python_worker.domain.signature import Signature

_DIALECTS = ("json-schema", "gemini", "openai", "anthropic")

_source = click.argument("source", metavar="FILE|TEXT")
_name = click.option("--name", default="", help="What it is called, where the text does not say.")
_constraints = click.option(
    "--constraints",
    metavar="FILE|JSON",
    default="",
    help='Further ones, by field path: {"score": {"min": 0.5}, "tags[]": {"max_length": 9}}.',
)


@click.group()
def command() -> None:
    """What a signature compiles to, or why it does not.

    FILE|TEXT is a file, - for standard input, or the signature itself: native, DSPy's inline form, or JSON.
    """


@command.command()
@_source
@_name
@_constraints
@click.option("--json", "as_json", is_flag=True, help="For programs to read.")
def check(*, source: str, name: str, constraints: str, as_json: bool) -> None:
    """Print the compiled form; exit 2 with the place of the error where there is none."""
    with _told(source):
        from python_worker.signatures import to_dspy

        signature = _parse(source, name, constraints)
        to_dspy(signature)
    click.echo(json.dumps(_as_json(signature), ensure_ascii=False, indent=2) if as_json else _as_text(signature))


@command.command()
@_source
@_constraints
@click.option("--dialect", type=click.Choice(_DIALECTS), default=_DIALECTS[0], show_default=True)
@click.option("--of", "side", type=click.Choice(["inputs", "outputs"]), default="outputs", show_default=True)
def schema(*, source: str, constraints: str, dialect: str, side: str) -> None:
    """Print the JSON Schema of a signature's fields, in the words of a provider."""
    with _told(source):
        from python_worker.signatures import Dialect, json_schema

        signature = _parse(source, "", constraints)
        fields = signature.inputs if side == "inputs" else signature.outputs
        written = json_schema(fields, Dialect(dialect))
    click.echo(json.dumps(written, ensure_ascii=False, indent=2))


@contextmanager
def _told(source: str) -> Iterator[None]:
    try:
        with needed_by("lmtest signature"):
            yield
    except MissingExtra as error:
        raise lmtest.ConfigurationError(str(error)) from error
    except WorkerError as error:
        where = f"{source}: " if _is_file(source) else ""
        raise lmtest.ConfigurationError(f"{where}{error}") from error


def _parse(source: str, name: str, constraints: str) -> Signature:
    from python_worker.signatures import parse

    return parse(_text(source), name=name, constraints=_beside(constraints) if constraints else None)


def _beside(given: str) -> dict[str, dict[str, object]]:
    text = _read(given) if _is_file(given) else given
    try:
        constraints = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = given if _is_file(given) else f"{given[:80]!r}, which is no file,"
        raise lmtest.ConfigurationError(f"--constraints: {where} does not read as JSON: {error}.") from error
    if not isinstance(constraints, dict) or not all(isinstance(each, dict) for each in constraints.values()):
        raise lmtest.ConfigurationError(
            f'--constraints is {text[:80].strip()}: it must be a map by field, such as {{"score": {{"min": 0.5}}}}.'
        )
    return constraints


def _text(source: str) -> str:
    if source == "-":
        return sys.stdin.read()
    if not _is_file(source):
        if source.endswith((".sig", ".json", ".txt")):
            raise lmtest.ConfigurationError(f"there is no file {source!r}, and it is no signature either.")
        return source
    return _read(source)


def _read(source: str) -> str:
    try:
        return Path(source).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise lmtest.ConfigurationError(f"{source} cannot be read as UTF-8 text: {error}.") from error


def _is_file(source: str) -> bool:
    try:
        return Path(source).is_file()
    except (OSError, ValueError):  # a signature can be too long for a path, or hold what no path can
        return False


def _as_text(signature: Signature) -> str:
    lines = [f"{signature.name}  {signature.digest[:12]}"]
    lines += [signature.description] if signature.description else []
    return "\n".join([*lines, *_listed("inputs", signature.inputs), *_listed("outputs", signature.outputs)])


def _listed(title: str, fields: Sequence[Field]) -> list[str]:
    return [f"  {title}", *(f"    {field}" for field in fields)]


def _as_json(signature: Signature) -> dict[str, object]:
    return {
        "name": signature.name,
        "description": signature.description,
        "text": str(signature),
        "digest": signature.digest,
        "inputs": [{"name": field.name, "type": str(field.type)} for field in signature.inputs],
        "outputs": [{"name": field.name, "type": str(field.type)} for field in signature.outputs],
    }

"""Generate python_worker/v1 from proto/, or tell with ``--check`` whether it is stale."""

from __future__ import annotations

import shlex
import sys
import tempfile
from pathlib import Path

import click
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PACKAGE = "python_worker/v1"
WELL_KNOWN = Path(protoc.__file__).parent / "_proto"
GENERATED = ("*_pb2*.py", "*_pb2*.pyi")


def generate(target: Path) -> None:
    """Write the generated modules and their stubs under ``target``."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        status = protoc.main(
            [
                "protoc",
                f"--proto_path={PROTO}",
                f"--proto_path={WELL_KNOWN}",
                f"--plugin=protoc-gen-mypy={_plugin(Path(scratch), 'mypy_protobuf.main', 'main')}",
                f"--plugin=protoc-gen-mypy_grpc={_plugin(Path(scratch), 'mypy_protobuf.main', 'grpc')}",
                f"--python_out={target}",
                f"--grpc_python_out={target}",
                f"--mypy_out=quiet:{target}",
                f"--mypy_grpc_out=quiet:{target}",
                *(str(path.relative_to(PROTO)) for path in sorted((PROTO / PACKAGE).glob("*.proto"))),
            ]
        )
    if status != 0:
        raise SystemExit(f"protoc ended with {status}: its message is above")


def stale() -> list[str]:
    """The generated files that are missing, left over or different from what proto/ gives now."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh, kept = _contents(Path(scratch) / PACKAGE), _contents(ROOT / PACKAGE)
    return sorted(name for name in fresh.keys() | kept.keys() if fresh.get(name) != kept.get(name))


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for pattern in GENERATED for path in folder.glob(pattern)}


def _plugin(folder: Path, module: str, function: str) -> Path:
    # protoc starts plugins by path; an environment's scripts need not stand beside its interpreter.
    path = folder / f"protoc-gen-{function}"
    run = f"{shlex.quote(sys.executable)} -c 'from {module} import {function}; {function}()'"
    path.write_text(f"#!/bin/sh\nexec {run}\n")  # after #! an interpreter's path may have no space
    path.chmod(0o755)
    return path


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when the checked-in code is stale.")
def main(*, check: bool) -> None:
    """Generate python_worker/v1 from proto/."""
    if not check:
        for name in _contents(ROOT / PACKAGE):
            (ROOT / PACKAGE / name).unlink()
        generate(ROOT)
    elif names := stale():
        raise SystemExit(f"{PACKAGE} is stale ({', '.join(names)}): run `python scripts/generate_proto.py` and commit.")


if __name__ == "__main__":
    main()

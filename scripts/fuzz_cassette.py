"""Search for files that break the reader of cassettes, guided by what code they reach.

    pip install atheris            # a tool for this script alone; it has wheels for Linux
    python scripts/fuzz_cassette.py [-max_total_time=300] [CORPUS]

Whatever the bytes, a file is read or refused by a CassetteFormatError that names it. Anything else is a finding: keep
it as a case in tests/lmtest/cassette/test_index.py. The arguments are libFuzzer's.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lmtest.cassette", "yaml"]):
    from lmtest.cassette import codec, quicktext, yamltext
    from lmtest.cassette.canonical import digest
    from lmtest.cassette.index import Index
    from lmtest.errors import CassetteFormatError

ROOT = Path(__file__).parent.parent
FILE = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)) / "fuzzed.yaml"


def read(content: bytes) -> None:
    """Read a file of this content whole, in every way there is."""
    FILE.write_bytes(content)
    try:
        index = Index(FILE)
        for entry in index.entries:
            interaction = index.read(entry)
            assert interaction.usage is not None
            codec.is_intact(index.text(entry), path=FILE)
            same_either_way(index.text(entry))
    except CassetteFormatError as error:
        if not str(error).startswith(str(FILE)):
            raise


def same_either_way(text: str) -> None:
    """What the quick way reads of a document that a digest proves is what the YAML parser reads."""
    before = text.rpartition('digest: "')[0]
    quick = quicktext.read(before)
    if quick is not None and codec.is_intact(text, path=FILE):
        assert digest(quick) == digest(yamltext.load(before, path=FILE))


def main() -> None:
    """Fuzz, beginning with the cassettes of this repository."""
    corpus = Path(tempfile.mkdtemp())
    for number, path in enumerate((ROOT / "cassettes").rglob("*.yaml")):
        (corpus / f"{number}.yaml").write_bytes(path.read_bytes())
    atheris.Setup([*sys.argv, str(corpus), "-max_len=6000", "-rss_limit_mb=1500", "-timeout=20"], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""README.md and docs/ as tests read them: the pages by name, and their fenced blocks."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, and what is in it."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.page}:{self.line}"


BLOCKS = [
    Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])
    for page, text in PAGES.items()
    for found in FENCED.finditer(text)
]

"""Recordings that were played, looked for where cassettes are now."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

import lmtest
from python_worker.domain.audit import Break

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from python_worker.domain.played import PlayedCall
    from python_worker.domain.recording import Recording


class PlayedRecordings:
    """The recordings below a directory, to see whether those that were played still are there.

    Args:
        directory: Where the cassettes are that the worker had in its ``--cassette-dir``.
        refreshed: By a cassette's path, the execution that recorded a file anew by that file's SHA-256.

    Attributes:
        explained: Played recordings that are gone because a refresh took their place that is on record.
        untold: Played calls of which the trail tells no digest.
    """

    def __init__(self, directory: Path, refreshed: Mapping[str, Mapping[str, str]]) -> None:
        self._directory = directory
        self._refreshed = refreshed
        self._recordings = cache(self._read)
        self.explained = 0
        self.untold = 0

    def find_break(self, played: PlayedCall) -> Break | None:
        """Say what became of the recording that answered a call; None where it is there as it was, or that is told."""
        if played.recording is None:
            self.untold += 1
            return None
        what = self.difference(played.recording, played.call.key)
        if not what:
            return None
        if self._anew_by(played.recording.path):
            self.explained += 1
            return None
        told = f"call {played.place} was played from {played.recording.path} (key {played.call.key[:12]}), and {what}"
        return Break(chain=played.chain, sequence=played.sequence, execution_id=played.execution_id, what=told)

    def difference(self, recording: Recording, key: str) -> str:
        """Say how a recording differs from what was played; "" where it does not."""
        found = self._recordings(recording.path)
        if isinstance(found, str):
            return found
        if any(each.digest == recording.digest for each in found):
            return ""
        same = [each for each in found if each.key == key]
        if not same:
            return "nothing is recorded there for that request any more"
        lines = ", ".join(str(each.line) for each in same)
        anew = [each for each in same if each.intact and each.recorded_at != recording.recorded_at]
        if len(anew) == len(same):
            told = max(each.recorded_at or "" for each in anew) or "an unknown moment"
            return f"it was recorded anew since, at {told} (line {lines})"
        return f"that recording was changed since (line {lines})"

    def told(self, recording: Recording, key: str) -> str:
        """Say the same of a call, with who recorded it anew; "" where it is there as it was."""
        what = self.difference(recording, key)
        by = self._anew_by(recording.path) if what else ""
        return f"{what}, by execution {by}, which is on record" if by else what

    def _read(self, path: str) -> tuple[lmtest.Recording, ...] | str:
        try:
            return lmtest.recordings(self._directory / path)
        except lmtest.CassetteNotFound:
            return f"there is no such cassette in {self._directory} any more"
        except lmtest.CassetteError as error:
            return f"that does not read: {error}"

    def _anew_by(self, path: str) -> str:
        """The execution whose refresh recorded the file that is there, byte for byte; "" where none did."""
        known = self._refreshed.get(path)
        if not known:
            return ""
        try:
            return known.get(hashlib.sha256((self._directory / path).read_bytes()).hexdigest(), "")
        except OSError:
            return ""

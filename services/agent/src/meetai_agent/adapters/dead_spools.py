"""The spools that killed jobs left behind: found, locked, and read for a replay.

Never raises: a file that can't be read must not keep the worker from the others, nor end it.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import structlog

from meetai_agent.adapters.spool_records import (
    FORMAT,
    SUFFIX,
    UNBORN_SUFFIX,
    Acknowledged,
    Header,
    LineRecord,
    Numbered,
    read_lines,
    read_records,
    remove_file,
)
from meetai_agent.domain.batches import Producer
from meetai_contracts.transcript import TranscriptLine

UNREADABLE_SUFFIX = ".unreadable"
STILLBORN_SECONDS = 60.0
"""A spool gets its header and its own name within a millisecond or two; older than this, its process was killed in between."""

log = structlog.get_logger()


class DeadSpoolFile:
    """`ports.DeadSpool`: a file whose job is gone, locked by us.

    Raises:
        OSError: it can't be read.
        ValueError: it has no header, or one of a format that isn't ours.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd: int | None = fd
        header: Header | None = None
        self.acknowledged_seq = 0
        self.last_seq = 0
        self.first_offset = 0
        for record, _begin, _end in read_records(path):
            match record:
                case Header():
                    header = record
                case Acknowledged(seq):
                    self.acknowledged_seq = max(self.acknowledged_seq, seq)
                case Numbered(seq):
                    self.last_seq = max(self.last_seq, seq)
                case LineRecord(line):
                    self.last_seq = max(self.last_seq, line.seq)
        if header is None:
            raise ValueError("no header")
        if header.v != FORMAT:
            raise UnknownFormatError(header.v)
        self.producer = Producer(id=header.producer_id, meeting_id=header.meeting_id, room_sid=header.room_sid)
        if self.last_seq > self.acknowledged_seq:
            self.first_offset = self._find_first()

    def read(
        self, first_seq: int, last_seq: int, offset: int, *, max_lines: int, max_bytes: int
    ) -> tuple[list[TranscriptLine], int | None]:
        """Lines `first_seq` to `last_seq`; what can't be read is left out."""
        return read_lines(self._path, first_seq, last_seq, offset, max_lines=max_lines, max_bytes=max_bytes)

    def acknowledge(self, seq: int) -> None:
        """Nothing: a replay that is cut off starts again, and the store keeps each line once."""

    def remove(self) -> None:
        """Delete the file."""
        remove_file(self._path)

    def set_aside(self) -> None:
        """Rename it, so that it isn't claimed again."""
        _set_aside(self._path)

    def release(self) -> None:
        """Give up the lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _find_first(self) -> int:
        for record, begin, _end in read_records(self._path):
            if isinstance(record, LineRecord) and record.line.seq > self.acknowledged_seq:
                return begin
        return 0


class UnknownFormatError(ValueError):
    """The spool of another version of this program: it is left to that."""


class SpoolFolder:
    """`ports.DeadSpools`: the spools in a folder that no living process holds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._left_alone: set[Path] = set()

    def claim(self) -> list[DeadSpoolFile]:
        """Lock and open every dead spool. A file without a readable header can hold no line of ours: it is set aside."""
        for path in self._folder.glob(f"*{UNBORN_SUFFIX}"):
            _remove_stillborn(path)
        paths = sorted(set(self._folder.glob(f"*{SUFFIX}")) - self._left_alone)
        return [spool for path in paths if (spool := self._claim(path)) is not None]

    def _claim(self, path: Path) -> DeadSpoolFile | None:
        fd = _lock(path)
        if fd is None:
            return None
        try:
            return DeadSpoolFile(path, fd)
        except UnknownFormatError:
            self._left_alone.add(path)
            log.error("spool_of_another_version", spool=path.stem)  # noqa: TRY400 - the name says it all
        except ValueError:
            log.error("spool_unreadable", spool=path.stem)  # noqa: TRY400 - its content stays out of logs
            _set_aside(path)
        except OSError as error:
            log.error("spool_read_failed", spool=path.stem, errno=error.errno)  # noqa: TRY400 - no stack needed
        os.close(fd)
        return None


def _lock(path: Path) -> int | None:
    """Lock a file that is still there. None: its job lives, another worker has it, or it is gone."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_nlink:
            return fd
    except OSError:
        pass
    os.close(fd)
    return None


def _remove_stillborn(path: Path) -> None:
    """Delete a spool that never got its own name: no line was ever appended to it."""
    try:
        age_seconds = time.time() - path.stat().st_mtime
    except OSError:
        return
    if age_seconds > STILLBORN_SECONDS and (fd := _lock(path)) is not None:
        remove_file(path)
        os.close(fd)


def _set_aside(path: Path) -> None:
    try:
        path.rename(path.with_suffix(UNREADABLE_SUFFIX))
    except OSError as error:
        log.error("spool_not_set_aside", spool=path.stem, errno=error.errno)  # noqa: TRY400 - no stack needed

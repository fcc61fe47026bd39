"""The spool of the job that runs here: one file, appended before a line goes anywhere else.

The file is locked (flock) for as long as its job's process lives, so a file that can be locked belongs to a dead job.

Writes go to the page cache and are not fsynced: that survives the death of any process, and a spool lost with its node is
named by the store (ADR 0005). They are made inline, on purpose: a line must be on disk before anything else can happen.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
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
    framed,
    read_lines,
    remove_file,
)
from meetai_agent.domain.batches import Producer
from meetai_contracts.transcript import TranscriptLine

log = structlog.get_logger()


class SpoolFile:
    """`ports.Spool` of a job: appended to by its process alone.

    Args:
        folder: Made if it isn't there.
        producer: Whose lines they are; its id names the file.
        max_bytes: The file never grows beyond this.
    """

    def __init__(self, folder: Path, producer: Producer, *, max_bytes: int) -> None:
        self._path = folder / f"{producer.id}{SUFFIX}"
        self._max_bytes = max_bytes
        self._header = framed(Header(FORMAT, producer.id, producer.meeting_id, producer.room_sid))
        self._size = 0
        self._given_seq = 0
        self._kept_seq = 0
        self._acknowledged_seq = 0
        self._released = False
        self._fd: int | None = None
        try:
            self._fd = self._create()
        except OSError as error:
            log.error("spool_unavailable", producer_id=str(producer.id), errno=error.errno)  # noqa: TRY400 - no stack needed

    def append(self, line: TranscriptLine) -> int | None:
        """Keep a line. Returns its offset, or None when the disk is full or away, or the file at its limit."""
        self._given_seq = line.seq
        try:
            offset = self._write(framed(LineRecord(line)))
        except OSError as error:
            log.error("spool_append_failed", seq=line.seq, errno=error.errno)  # noqa: TRY400 - no stack needed
            self._note_given()
            return None
        self._kept_seq = line.seq
        return offset

    def skip(self, seq: int) -> None:
        """Note that a number was given to what has no line; never raises."""
        self._given_seq = seq
        self._note_given()

    def acknowledge(self, seq: int) -> None:
        """Note what the stream has; when that is everything, the file shrinks to its header."""
        self._acknowledged_seq = seq
        if self._fd is None:
            return
        try:
            if seq >= self._given_seq:
                self._start_over(self._fd)
            else:
                self._write(framed(Acknowledged(seq)))
                self._note_given()
        except OSError as error:
            log.error("spool_acknowledge_failed", seq=seq, errno=error.errno)  # noqa: TRY400 - no stack needed

    def read(
        self, first_seq: int, last_seq: int, offset: int, *, max_lines: int, max_bytes: int
    ) -> tuple[list[TranscriptLine], int | None]:
        """Lines `first_seq` to `last_seq`; what can't be read is left out."""
        return read_lines(self._path, first_seq, last_seq, offset, max_lines=max_lines, max_bytes=max_bytes)

    def remove(self) -> None:
        """Delete the file."""
        remove_file(self._path)
        self.release()

    def release(self) -> None:
        """Give up the lock; what is in the file is the worker's to replay."""
        self._released = True
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _create(self) -> int:
        """Make the file under its own name only once it is locked and has its header: nobody may take it for a dead one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unborn = self._path.with_suffix(UNBORN_SUFFIX)
        fd = os.open(unborn, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            start = self._header + framed(Acknowledged(self._acknowledged_seq))
            write_whole(fd, start, 0)
            unborn.rename(self._path)
        except OSError:
            os.close(fd)
            remove_file(unborn)
            raise
        self._size = len(start)
        return fd

    def _write(self, record: bytes) -> int:
        """Append a record. Returns its offset."""
        if self._released:
            raise OSError(errno.EBADF, "released")
        if self._fd is None:
            self._fd = self._create()
        offset = self._size
        if offset + len(record) > self._max_bytes:
            raise OSError(errno.EDQUOT, "spool is full")
        try:
            write_whole(self._fd, record, offset)
        except OSError:
            os.ftruncate(self._fd, offset)  # the next record must follow a whole one
            raise
        self._size += len(record)
        return offset

    def _start_over(self, fd: int) -> None:
        """Nothing in the file is needed any more but how far the stream has come."""
        record = framed(Acknowledged(self._acknowledged_seq))
        self._size = len(self._header)
        try:
            write_whole(fd, record, self._size)
            self._size += len(record)
        finally:
            os.ftruncate(fd, self._size)

    def _note_given(self) -> None:
        """Leave a mark of a line that isn't in the file where the next record will go. The limit leaves room for it."""
        if self._fd is None or self._given_seq == self._kept_seq:
            return
        with suppress(
            OSError
        ):  # a disk that is full to the last byte: the producer then stays without its last numbers
            write_whole(self._fd, framed(Numbered(self._given_seq)), self._size)


def write_whole(fd: int, data: bytes, offset: int) -> None:
    """Write all of it.

    Raises:
        OSError: also when the disk took only a part.
    """
    if os.pwrite(fd, data, offset) != len(data):
        raise OSError(errno.ENOSPC, "short write")

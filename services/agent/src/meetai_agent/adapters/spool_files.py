"""Spools on local disk: one file a job, appended before a line goes anywhere else.

A record is `length u32 | CRC-32 u32 | payload`, little-endian; the payload is msgpack `[kind, …]`. The first record says
whose file it is. A write that was cut short fails its CRC and ends the file. The file is locked (flock) for as long as its
job's process lives, so a file that can be locked belongs to a dead job.

Writes go to the page cache and are not fsynced: that survives the death of any process, and a spool lost with its node is
named by the store (ADR 0005). They are made inline, on purpose: a line must be on disk before anything else can happen.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
import structlog

from meetai_agent.domain.buffer import Producer
from meetai_contracts.transcript import TranscriptLine

MAX_RECORD_BYTES: Final = 64 * 1024
SUFFIX: Final = ".spool"
_HEAD: Final = struct.Struct("<II")

log = structlog.get_logger()


class _Header(msgspec.Struct, frozen=True, array_like=True, tag="h"):
    v: int
    producer_id: UUID
    meeting_id: str
    room_sid: str


class _Line(msgspec.Struct, frozen=True, array_like=True, tag="l"):
    line: TranscriptLine


class _Acknowledged(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    seq: int


_Record = _Header | _Line | _Acknowledged
_encoder: Final = msgspec.msgpack.Encoder(uuid_format="bytes")
_decoder: Final = msgspec.msgpack.Decoder(_Record)


class SpoolFile:
    """`ports.Spool` of a job: appended to by its process alone."""

    def __init__(self, folder: Path, producer: Producer, *, max_bytes: int) -> None:
        self._path = folder / f"{producer.id}{SUFFIX}"
        self._max_bytes = max_bytes
        self._header = _encoder.encode(_Header(1, producer.id, producer.meeting_id, producer.room_sid))
        self._size = 0
        self._kept_seq = 0
        self._fd: int | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write(self._header)
        except OSError as error:
            log.error("spool_unavailable", producer_id=str(producer.id), errno=error.errno)  # noqa: TRY400 - no stack needed

    def append(self, line: TranscriptLine) -> int | None:
        """Keep a line. Returns its offset, or None when the disk is full or away, or the file at its limit."""
        offset = self._size
        try:
            self._write(_encoder.encode(_Line(line)))
        except OSError as error:
            log.error("spool_append_failed", seq=line.seq, errno=error.errno)  # noqa: TRY400 - no stack needed
            return None
        self._kept_seq = line.seq
        return offset

    def acknowledge(self, seq: int) -> None:
        """Note what the stream has; when that is everything, the file shrinks to its header."""
        if self._fd is None:
            return
        try:
            if seq >= self._kept_seq:
                os.ftruncate(self._fd, _HEAD.size + len(self._header))
                self._size = _HEAD.size + len(self._header)
            self._write(_encoder.encode(_Acknowledged(seq)))
        except OSError as error:
            log.error("spool_acknowledge_failed", seq=seq, errno=error.errno)  # noqa: TRY400 - no stack needed

    def read(self, first_seq: int, offset: int, limit: int) -> tuple[list[TranscriptLine], int | None]:
        """Lines from `first_seq` on; what can't be read is left out."""
        return _read_lines(self._path, first_seq, offset, limit)

    def remove(self) -> None:
        """Delete the file."""
        self._path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Give up the lock; what is in the file is the worker's to replay."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _write(self, payload: bytes) -> None:
        if self._fd is None or self._size + _HEAD.size + len(payload) > self._max_bytes:
            raise OSError(28, "spool is full or away")
        record = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            written = os.pwrite(self._fd, record, self._size)
        except OSError:
            self._cut_back()
            raise
        if written != len(record):
            self._cut_back()
            raise OSError(28, "short write")
        self._size += written

    def _cut_back(self) -> None:
        """Drop the half-written record, so that the next one follows a whole one."""
        if self._fd is not None:
            os.ftruncate(self._fd, self._size)


class DeadSpoolFile:
    """`ports.DeadSpool`: a file whose job is gone, locked by us."""

    def __init__(self, path: Path, fd: int, producer: Producer, acknowledged_seq: int) -> None:
        self._path = path
        self._fd: int | None = fd
        self.producer = producer
        self.acknowledged_seq = acknowledged_seq

    def scan(self) -> Iterator[tuple[TranscriptLine, int]]:
        """The lines after `acknowledged_seq`, in the order in which they were written."""
        last = self.acknowledged_seq
        for record, offset in _records(self._path, 0):
            if isinstance(record, _Line) and record.line.seq > last:
                last = record.line.seq
                yield record.line, offset

    def read(self, first_seq: int, offset: int, limit: int) -> tuple[list[TranscriptLine], int | None]:
        """Lines from `first_seq` on; what can't be read is left out."""
        return _read_lines(self._path, first_seq, offset, limit)

    def acknowledge(self, seq: int) -> None:
        """Nothing: a replay that is cut off starts again, and the store keeps each line once."""

    def remove(self) -> None:
        """Delete the file."""
        self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """Give up the lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class SpoolFolder:
    """`ports.DeadSpools`: the spools in a folder that no living process holds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def claim(self) -> list[DeadSpoolFile]:
        """Lock and open every dead spool. A file without a readable header can hold no line of ours: it is set aside."""
        return [spool for path in sorted(self._folder.glob(f"*{SUFFIX}")) if (spool := _claim(path)) is not None]


def _claim(path: Path) -> DeadSpoolFile | None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_nlink == 0:
            raise BlockingIOError("removed while we waited")
    except OSError:
        os.close(fd)
        return None
    header: _Header | None = None
    acknowledged = 0
    for record, _offset in _records(path, 0):
        if isinstance(record, _Header):
            header = record
        elif isinstance(record, _Acknowledged):
            acknowledged = max(acknowledged, record.seq)
    if header is None:
        path.rename(path.with_suffix(".unreadable"))
        os.close(fd)
        log.error("spool_unreadable", spool=path.stem)
        return None
    producer = Producer(id=header.producer_id, meeting_id=header.meeting_id, room_sid=header.room_sid)
    return DeadSpoolFile(path, fd, producer, acknowledged)


def _read_lines(path: Path, first_seq: int, offset: int, limit: int) -> tuple[list[TranscriptLine], int | None]:
    lines: list[TranscriptLine] = []
    try:
        for record, at in _records(path, offset):
            if not isinstance(record, _Line) or record.line.seq < first_seq:
                continue
            if len(lines) == limit:
                return lines, at
            lines.append(record.line)
    except OSError as error:
        log.error("spool_read_failed", errno=error.errno)  # noqa: TRY400 - no stack needed
    return lines, None


def _records(path: Path, offset: int) -> Iterator[tuple[_Record, int]]:
    """Whole records from an offset on. A damaged one is skipped; a length that can't be true ends the file."""
    with path.open("rb") as file:
        file.seek(offset)
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            payload = file.read(length) if length <= MAX_RECORD_BYTES else b""
            if len(payload) != length or not length:
                return
            at, offset = offset, offset + _HEAD.size + length
            if zlib.crc32(payload) != checksum:
                log.error("spool_record_damaged", offset=at)
                continue
            try:
                yield _decoder.decode(payload), at
            except (msgspec.DecodeError, UnicodeDecodeError):
                log.error("spool_record_damaged", offset=at)  # noqa: TRY400 - the codec's message quotes data

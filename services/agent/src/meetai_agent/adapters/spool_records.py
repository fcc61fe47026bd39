"""What a spool file holds, and how it is read.

A record is `length u32 | CRC-32 u32 | payload`, little-endian; the payload is msgpack `[kind, …]`. The first record says
whose file it is and in which format. A record whose write was cut short, or that was damaged since, fails its CRC and is
skipped.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
import structlog

from meetai_contracts.transcript import TranscriptLine

FORMAT: Final = 1
"""Raised when a reader of the format before would lose something; it then leaves the file alone."""
SUFFIX: Final = ".spool"
UNBORN_SUFFIX: Final = ".new"
"""Until it is locked and has its header."""
MAX_RECORD_BYTES: Final = 64 * 1024
_HEAD: Final = struct.Struct("<II")

log = structlog.get_logger()


class Header(msgspec.Struct, frozen=True, array_like=True, tag="h"):
    """Whose lines these are."""

    v: int
    producer_id: UUID
    meeting_id: str
    room_sid: str


class LineRecord(msgspec.Struct, frozen=True, array_like=True, tag="l"):
    """A line."""

    line: TranscriptLine


class Acknowledged(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """The stream has the lines up to `seq`."""

    seq: int


class Numbered(msgspec.Struct, frozen=True, array_like=True, tag="n"):
    """A line was given this `seq` and isn't in the file, so that a replay can name it lost."""

    seq: int


Record = Header | LineRecord | Acknowledged | Numbered
_encoder: Final = msgspec.msgpack.Encoder(uuid_format="bytes")
_decoder: Final = msgspec.msgpack.Decoder(Record)


def framed(record: Record) -> bytes:
    """A record as it is in the file."""
    payload = _encoder.encode(record)
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def read_records(path: Path, offset: int = 0) -> Iterator[tuple[Record, int, int]]:
    """Whole records from an offset on, each with where it begins and ends.

    After a damaged one the next whole one is looked for as far as a record can reach; where there is none the file ends.

    Raises:
        OSError: the file can't be read.
    """
    with path.open("rb") as file:
        end = offset
        while offset - end <= _HEAD.size + MAX_RECORD_BYTES:
            file.seek(offset)
            head = file.read(_HEAD.size)
            if len(head) != _HEAD.size:
                return
            length, checksum = _HEAD.unpack(head)
            payload = file.read(length) if length <= MAX_RECORD_BYTES else b""
            if not payload or len(payload) != length or zlib.crc32(payload) != checksum:
                offset += 1
                continue
            if offset != end:
                log.error("spool_record_damaged", offset=end, bytes=offset - end)
            begin, offset = offset, offset + _HEAD.size + length
            end = offset
            try:
                yield _decoder.decode(payload), begin, end
            except (msgspec.DecodeError, UnicodeDecodeError):
                log.error("spool_record_unknown", offset=begin)  # noqa: TRY400 - the codec's message quotes data


def read_lines(
    path: Path, first_seq: int, last_seq: int, offset: int, *, max_lines: int, max_bytes: int
) -> tuple[list[TranscriptLine], int | None]:
    """Lines `first_seq` to `last_seq` from an offset on, at least one and within the limits, and where the rest begins."""
    lines: list[TranscriptLine] = []
    size = 0
    try:
        for record, begin, end in read_records(path, offset):
            if not isinstance(record, LineRecord) or record.line.seq < first_seq:
                continue
            if record.line.seq > last_seq:
                break
            size += end - begin
            if lines and (len(lines) == max_lines or size > max_bytes):
                return lines, begin
            lines.append(record.line)
    except OSError as error:
        log.error("spool_read_failed", errno=error.errno)  # noqa: TRY400 - no stack needed
    return lines, None


def remove_file(path: Path) -> None:
    """Delete a file, if it is there and that can be done: a spool never raises."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.error("spool_not_removed", spool=path.stem, errno=error.errno)  # noqa: TRY400 - no stack needed

"""Run with a release's own packages: what its agent puts on the stream, or keeps in its spool, of a meeting.

`sayer.py entries MEETING COUNT`: prints the batches of a whole meeting, hex, a line each. `sayer.py spool FOLDER COUNT`: writes the
spool of a job that died with that many lines. `sayer.py unspool FOLDER`: prints the texts in the spools of a folder.
Uses nothing but what every release has had.
"""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path
from typing import Any

from meetai_contracts.transcript import BatchKind, Speaker, TranscriptBatch, TranscriptLine, encode_batch


def uuid7() -> uuid.UUID:
    random = uuid.uuid4().int & ((1 << 62) - 1)
    return uuid.UUID(int=(time.time_ns() // 1_000_000) << 80 | 0x7 << 76 | 0b10 << 62 | random)


def line(producer: uuid.UUID, seq: int) -> TranscriptLine:
    """With every optional field, those included that this release has and others don't."""
    more: dict[str, Any] = {"source": "screen_share"} if "source" in TranscriptLine.__struct_fields__ else {}
    return TranscriptLine(
        producer,
        seq,
        Speaker(f"user-{seq % 3}", f"Zoë {seq % 3}", "human" if seq % 3 else "agent"),
        f"line {seq}",
        1_793_610_000_000 + seq * 1000,
        1_793_610_000_900 + seq * 1000,
        "en",
        0.5,
        seq % 5 == 0,
        **more,
    )


def entries(meeting: str, count: int) -> None:
    producer = uuid7()
    lines = tuple(line(producer, seq) for seq in range(1, count + 1))
    kinds: list[tuple[BatchKind, int, int, tuple[TranscriptLine, ...]]] = [
        ("open", 0, 0, ()),
        ("lines", 1, count, lines),
        ("close", 0, 0, ()),
    ]
    for kind, first, last, said in kinds:
        batch = TranscriptBatch(
            v=1,
            kind=kind,
            meeting_id=meeting,
            room_sid=f"RM_{producer.hex[-12:]}",
            producer_id=producer,
            first_seq=first,
            last_seq=last,
            high_water=0 if kind == "open" else count,
            lines=said,
        )
        sys.stdout.write(encode_batch(batch).hex() + "\n")


def spool(folder: str, count: int) -> None:
    from meetai_agent.adapters.spool_files import SpoolFile
    from meetai_agent.domain.batches import Producer

    producer = Producer(id=uuid7(), meeting_id="standup", room_sid="RM_1")
    file = SpoolFile(Path(folder), producer, max_bytes=1 << 20)
    for seq in range(1, count + 1):
        if file.append(line(producer.id, seq)) is None:
            raise SystemExit("the spool is full")


def unspool(folder: str) -> None:
    from meetai_agent.adapters.spool_records import SUFFIX, read_lines

    for file in sorted(Path(folder).glob(f"*{SUFFIX}")):
        lines, _ = read_lines(file, 1, 1000, 0, max_lines=1000, max_bytes=1 << 20)
        sys.stdout.write("".join(f"{each.seq} {each.text}\n" for each in lines))


if __name__ == "__main__":
    command, first = sys.argv[1:3]
    if command == "unspool":
        unspool(first)
    else:
        {"entries": entries, "spool": spool}[command](first, int(sys.argv[3]))

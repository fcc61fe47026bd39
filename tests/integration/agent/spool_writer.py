"""A process that writes a spool, for tests that kill it: prints each seq once its append has returned.

Arguments: folder, producer id, how many lines to hold unacknowledged, and how large a file the disk takes, if it is to be
full.
"""

from __future__ import annotations

import itertools
import resource
import signal
import sys
from pathlib import Path
from uuid import UUID

from meetai_agent.adapters.spool_files import SpoolFile
from meetai_agent.domain.batches import Producer
from meetai_contracts.transcript import Speaker, TranscriptLine


def main(folder: str, producer_id: str, held: str, room_bytes: str = "") -> None:
    if room_bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(room_bytes), int(room_bytes)))
    producer = Producer(id=UUID(producer_id), meeting_id="standup", room_sid="RM_test")
    spool = SpoolFile(Path(folder), producer, max_bytes=64 * 1024 * 1024)
    speaker = Speaker(identity="maya", name="Maya", kind="human")
    for seq in itertools.count(1):
        line = TranscriptLine(
            producer_id=producer.id, seq=seq, speaker=speaker, text=f"line {seq} " * 40, started_ms=1, ended_ms=2
        )
        kept = spool.append(line) is not None
        sys.stdout.write(f"{seq if kept else -seq}\n")
        sys.stdout.flush()
        if seq % 7 == 0:
            spool.acknowledge(max(0, seq - int(held)))


if __name__ == "__main__":
    main(*sys.argv[1:])

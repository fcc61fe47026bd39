"""The outbox on a real disk, with the deaths and failures that a disk sees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
from tests.unit.agent.outbox_suite import ONE, TWO, Outboxes, OutboxSuite
from tests.waiting import wait_until

from meetai_agent.adapters.outbox_files import SUFFIX, UNBORN_SECONDS, DeadEventFile, OutboxFiles, OutboxFolder


class FileOutboxes:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self) -> OutboxFiles:
        return OutboxFiles(self._folder)

    def claim(self) -> Sequence[DeadEventFile]:
        return OutboxFolder(self._folder).claim()


class TestOutboxFiles(OutboxSuite):
    """The outbox on disk."""

    @pytest.fixture
    def outboxes(self, tmp_path: Path) -> Outboxes:
        return FileOutboxes(tmp_path / "spool")


WRITER = """
import sys
from pathlib import Path
from uuid import UUID
from meetai_agent.adapters.outbox_files import OutboxFiles

outbox = OutboxFiles(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    outbox.keep(UUID(int=1), b"%09d" % number * 1000)
    print(number, flush=True)
"""


def test_a_whole_event_is_there_when_its_writer_was_killed_at_any_moment(tmp_path: Path) -> None:
    """The last one that it knew was kept, or the next; never a part of one. While it lives, nobody gets it."""
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(50):
                last = int(writer.stdout.readline())
            assert OutboxFolder(tmp_path).claim() == []
            writer.send_signal(signal.SIGKILL)
            last = int((writer.stdout.read().splitlines() or [b"%d" % last])[-1])
        [dead] = OutboxFolder(tmp_path).claim()
        assert dead.event in {b"%09d" % number * 1000 for number in (last, last + 1)}
        dead.drop()
        dead.release()


def test_what_was_kept_is_still_there_when_the_disk_takes_no_more(tmp_path: Path) -> None:
    """It says that it isn't kept, and raises nothing."""
    outbox = OutboxFiles(tmp_path / "spool")
    assert outbox.keep(ONE, b"promise")
    (tmp_path / "spool").rename(tmp_path / "elsewhere")
    (tmp_path / "spool").write_text("not a folder")
    assert not outbox.keep(ONE, b"one")
    assert not outbox.keep(TWO, b"two")
    outbox.drop(TWO)
    assert OutboxFolder(tmp_path / "spool").claim() == []
    (tmp_path / "spool").unlink()
    (tmp_path / "elsewhere").rename(tmp_path / "spool")
    outbox.release()
    assert [dead.event for dead in OutboxFolder(tmp_path / "spool").claim()] == [b"promise"]


def test_what_was_cut_off_while_it_was_written_is_removed_in_time(tmp_path: Path) -> None:
    """Only once nobody can be writing it any more."""
    outbox = OutboxFiles(tmp_path)
    outbox.keep(ONE, b"one")
    outbox.release()
    old, new = tmp_path / f"{UUID(int=8)}.decision-new", tmp_path / f"{UUID(int=9)}.decision-new"
    for path in (old, new):
        path.write_bytes(b"ha")
    past = old.stat().st_mtime - UNBORN_SECONDS - 1
    os.utime(old, (past, past))
    assert [dead.event for dead in OutboxFolder(tmp_path).claim()] == [b"one"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{ONE}{SUFFIX}", new.name]


def test_no_descriptor_is_left_open_when_events_come_and_go(tmp_path: Path) -> None:
    """A worker runs for months."""

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_files()
    outbox = OutboxFiles(tmp_path)
    for number in range(20):
        outbox.keep(UUID(int=number), b"promise")
        outbox.keep(UUID(int=number), b"event")
        if number % 2:
            outbox.drop(UUID(int=number))
    outbox.release()
    for dead in OutboxFolder(tmp_path).claim():
        dead.drop()
        dead.release()
    wait_until(lambda: open_files() <= before, seconds=10)

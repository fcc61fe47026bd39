"""Spools on a real disk: torn, damaged, full, locked, and written by a process that is killed."""

from __future__ import annotations

import fcntl
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.unit.agent.samples import LONGEST_TEXT, line, new_producer
from tests.unit.agent.spool_suite import Spools, SpoolSuite, replayed

from meetai_agent.adapters import spool_records
from meetai_agent.adapters.dead_spools import STILLBORN_SECONDS, DeadSpoolFile, SpoolFolder
from meetai_agent.adapters.spool_files import SpoolFile
from meetai_agent.adapters.spool_records import UNBORN_SUFFIX
from meetai_agent.domain.batches import Producer

BIG = 64 * 1024 * 1024
WRITER = [sys.executable, "-m", "tests.integration.agent.spool_writer"]


class SpoolsOnDisk:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._dead = SpoolFolder(folder)

    def open(self, producer: Producer, *, max_bytes: int = BIG) -> SpoolFile:
        return SpoolFile(self._folder, producer, max_bytes=max_bytes)

    def claim(self) -> list[DeadSpoolFile]:
        return self._dead.claim()


class TestSpoolFile(SpoolSuite):
    """The spool in files."""

    @pytest.fixture
    def spools(self, tmp_path: Path) -> Spools:
        return SpoolsOnDisk(tmp_path / "spool")


def written(folder: Path, producer: Producer, count: int) -> tuple[Path, list[int]]:
    """The file of a job that died after `count` lines, and where each of them begins; the last entry is its end."""
    spool = SpoolFile(folder, producer, max_bytes=BIG)
    offsets = [spool.append(line(producer, seq)) for seq in range(1, count + 1)]
    spool.release()
    [path] = folder.glob("*.spool")
    return path, [*(offset for offset in offsets if offset is not None), path.stat().st_size]


def seqs(folder: Path) -> list[int]:
    [dead] = SpoolFolder(folder).claim()
    try:
        return [one.seq for one in replayed(dead)]
    finally:
        dead.release()


def test_whole_lines_are_there_when_the_last_was_cut_short(tmp_path: Path) -> None:
    """At every byte of it."""
    path, offsets = written(tmp_path, new_producer(), 4)
    whole = path.read_bytes()
    for end in range(offsets[3], offsets[4]):
        path.write_bytes(whole[:end])
        assert seqs(tmp_path) == [1, 2, 3], end


def test_other_lines_are_there_when_one_was_damaged(tmp_path: Path) -> None:
    """Whichever of its bytes it is, also its length."""
    path, offsets = written(tmp_path, new_producer(), 4)
    whole = path.read_bytes()
    for at in range(offsets[1], offsets[2]):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        assert seqs(tmp_path) == [1, 3, 4], at


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 4096, random.Random(1).randbytes(200_000)], ids=["empty", "zeros", "noise"]
)
def test_a_file_is_set_aside_when_it_is_no_spool(tmp_path: Path, content: bytes) -> None:
    """It isn't deleted, not looked at again, and doesn't keep the others from being replayed."""
    (tmp_path / "a.spool").write_bytes(content)
    (tmp_path / "folder.spool").mkdir()
    producer = new_producer()
    spool = SpoolFile(tmp_path, producer, max_bytes=BIG)
    spool.append(line(producer, 1))
    spool.release()
    assert seqs(tmp_path) == [1]
    assert (tmp_path / "a.unreadable").read_bytes() == content
    assert not (tmp_path / "a.spool").exists()


def test_a_file_is_left_alone_when_a_newer_version_wrote_it(tmp_path: Path) -> None:
    """That version will come back for it; this one would lose what it doesn't know."""
    producer = new_producer()
    header = spool_records.Header(spool_records.FORMAT + 1, producer.id, "standup", "RM_x")
    content = spool_records.framed(header) + spool_records.framed(spool_records.LineRecord(line(producer, 1)))
    path = tmp_path / f"{producer.id}.spool"
    path.write_bytes(content)
    folder = SpoolFolder(tmp_path)
    assert folder.claim() == []
    assert folder.claim() == []
    assert path.read_bytes() == content


def test_a_file_goes_when_its_process_was_killed_while_it_made_it(tmp_path: Path) -> None:
    """It holds no line. One that is just being made, or whose process lives, stays."""
    old = time.time() - STILLBORN_SECONDS - 1
    for name in ("dead", "held", "young"):
        (tmp_path / f"{name}{UNBORN_SUFFIX}").touch()
    for name in ("dead", "held"):
        os.utime(tmp_path / f"{name}{UNBORN_SUFFIX}", (old, old))
    with (tmp_path / f"held{UNBORN_SUFFIX}").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert SpoolFolder(tmp_path).claim() == []
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["held", "young"]


def test_nothing_is_claimed_when_there_is_no_folder(tmp_path: Path) -> None:
    """A worker may start before its first job."""
    assert SpoolFolder(tmp_path / "absent").claim() == []


def test_lines_are_kept_again_when_the_folder_comes_back(tmp_path: Path) -> None:
    """A spool that is away costs no line; what was delivered meanwhile isn't called lost."""
    producer = new_producer()
    folder = tmp_path / "spool"
    folder.write_text("not a folder")
    spool = SpoolFile(folder, producer, max_bytes=BIG)
    assert spool.append(line(producer, 1)) is None
    spool.acknowledge(1)
    folder.unlink()
    assert spool.append(line(producer, 2)) is not None
    spool.release()
    [dead] = SpoolFolder(folder).claim()
    assert dead.acknowledged_seq == 1
    assert [one.seq for one in replayed(dead)] == [2]


def test_no_living_spool_is_claimed_when_the_worker_looks_while_jobs_start(tmp_path: Path) -> None:
    """A file is never seen before it is locked and says whose it is."""
    folder, stop, claimed = SpoolFolder(tmp_path), threading.Event(), 0

    def look() -> None:
        nonlocal claimed
        while not stop.is_set():
            claimed += len(folder.claim())

    watcher = threading.Thread(target=look)
    watcher.start()
    spools = [SpoolFile(tmp_path, new_producer(), max_bytes=BIG) for _ in range(300)]
    stop.set()
    watcher.join()
    assert claimed == 0
    assert not list(tmp_path.glob("*.unreadable"))
    assert all(spool.append(line(new_producer(), 1)) is not None for spool in spools)
    for spool in spools:
        spool.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("room_bytes", [0, 40, 5_000, 5_001, 5_123])
def test_whole_lines_are_there_when_the_disk_was_full(tmp_path: Path, room_bytes: int) -> None:
    """The disk took a part of a line and no more: that line is refused, the ones before are read back."""
    producer = new_producer()
    writer = subprocess.Popen(
        [*WRITER, str(tmp_path), str(producer.id), "1000000", str(room_bytes)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    numbers: list[int] = []
    for text in writer.stdout:
        if text.lstrip("-").strip().isdigit():
            numbers.append(int(text))
        if len([number for number in numbers if number < 0]) > 50:
            break
    writer.kill()
    writer.communicate(timeout=10)
    kept = [number for number in numbers if number > 0]
    dead = SpoolFolder(tmp_path).claim()
    assert [one.seq for spool in dead for one in replayed(spool)] == kept
    assert bool(kept) == (room_bytes >= 5_000)


def test_every_line_is_there_when_its_writer_was_killed(tmp_path: Path) -> None:
    """`kill -9` at any instant: each line whose append had returned is read back, unless it was acknowledged."""
    chance = random.Random(7)
    for run in range(6):
        folder, producer = tmp_path / str(run), new_producer()
        held = chance.choice([0, 3, 1_000_000])
        writer = subprocess.Popen(
            [*WRITER, str(folder), str(producer.id), str(held)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(chance.randint(1, 4000)):
            writer.stdout.readline()
        assert SpoolFolder(folder).claim() == [], "its process is alive"
        writer.kill()
        last = [text for text in writer.stdout.read().split("\n")[:-1] if text]
        writer.wait(timeout=10)
        [dead] = SpoolFolder(folder).claim()
        found = [one.seq for one in replayed(dead)]
        assert found == list(range(dead.acknowledged_seq + 1, dead.last_seq + 1)) or not found
        assert max(dead.last_seq, dead.acknowledged_seq) >= (int(last[-1]) if last else 1)
        dead.release()


def test_a_spool_stays_small_when_everything_is_acknowledged(tmp_path: Path) -> None:
    """A meeting of hours with a healthy stream leaves a file of a few hundred bytes."""
    producer = new_producer()
    spool = SpoolFile(tmp_path, producer, max_bytes=BIG)
    for seq in range(1, 200):
        spool.append(line(producer, seq, LONGEST_TEXT))
        spool.acknowledge(seq)
    [path] = tmp_path.glob("*.spool")
    assert path.stat().st_size < 300
    spool.remove()

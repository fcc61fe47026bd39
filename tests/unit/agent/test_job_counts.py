"""What jobs counted, whoever of them is still running."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from meetai_agent.adapters.job_counts import JobCounts

ENDED_PIDS = (2**22 + 1, 2**22 + 2)
"""Beyond the kernel's greatest pid (/proc/sys/kernel/pid_max is at most 2^22)."""
PARENT = os.getppid()


def counted(folder: Path, pid: int, lines: float, *, kind: str = "counter") -> None:
    """What a job's process leaves in the folder."""
    file = MmapedDict(str(folder / f"{kind}_{pid}.db"))  # type: ignore[no-untyped-call]  # untyped upstream
    key = mmap_key("meetai_agent_lines", "meetai_agent_lines_total", [], [], "Lines.")
    file.write_value(key, lines, 0.0)  # type: ignore[no-untyped-call]  # untyped upstream
    file.close()  # type: ignore[no-untyped-call]  # untyped upstream


def scraped(counts: JobCounts) -> str:
    registry = CollectorRegistry()
    registry.register(counts)
    return generate_latest(registry).decode()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_counted_is_forgotten_when_the_processes_have_ended(tmp_path: Path) -> None:
    """Their files become one, and the sum never goes back."""
    counts = JobCounts(tmp_path)
    for pid in (*ENDED_PIDS, PARENT):
        counted(tmp_path, pid, 2)
    assert "meetai_agent_lines_total 6.0" in scraped(counts)
    counts.fold()
    assert names(tmp_path) == sorted([f"counter_{PARENT}.db", "counter_ended.db"])
    assert "meetai_agent_lines_total 6.0" in scraped(counts)
    counted(tmp_path, ENDED_PIDS[0], 1)
    counts.fold()
    counts.fold()
    assert "meetai_agent_lines_total 7.0" in scraped(counts)


def test_the_workers_own_counts_are_left_out_when_it_is_scraped(tmp_path: Path) -> None:
    """Its registry has them: a name that is served twice makes Prometheus refuse the scrape."""
    counted(tmp_path, os.getpid(), 5)
    counts = JobCounts(tmp_path)
    counts.fold()
    assert "meetai_agent_lines_total" not in scraped(counts)
    assert names(tmp_path) == [f"counter_{os.getpid()}.db"]


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 64, b"\x40\0\0\0\0\0\0\0\xff\xff\xff\x7f"], ids=["new", "rubbish", "cut"]
)
def test_the_others_are_counted_when_a_file_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    """It may just be being made; once its process has ended it goes."""
    counts = JobCounts(tmp_path)
    counted(tmp_path, PARENT, 2)
    (tmp_path / f"counter_{ENDED_PIDS[0]}.db").write_bytes(content)
    assert "meetai_agent_lines_total 2.0" in scraped(counts)
    counts.fold()
    assert f"counter_{ENDED_PIDS[0]}.db" not in names(tmp_path)
    assert "meetai_agent_lines_total 2.0" in scraped(counts)


def test_a_gauge_is_dropped_when_its_process_has_ended(tmp_path: Path) -> None:
    """It said how things stood there."""
    counted(tmp_path, ENDED_PIDS[0], 1, kind="gauge_livesum")
    JobCounts(tmp_path).fold()
    assert names(tmp_path) == []

"""What autoscalers read of a worker, and what waits on its disk."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry
from tests.unit.agent.samples import line, new_producer

from meetai_agent.adapters.dead_spools import SpoolFolder
from meetai_agent.adapters.spool_files import SpoolFile
from meetai_agent.adapters.worker_gauges import Load, WorkerGauges


def test_load_and_spools_are_told_as_they_are_when_asked(tmp_path: Path) -> None:
    """A folder that isn't there holds nothing; a spool grows with what the stream hasn't confirmed; one that can't be read is counted."""
    load = Load(jobs=3, jobs_max=10, is_registered=True)
    folder = tmp_path / "spool"
    registry = CollectorRegistry()
    registry.register(WorkerGauges(lambda: load, folder))

    def value(name: str) -> float | None:
        return registry.get_sample_value(f"meetai_agent_{name}")

    assert [value(name) for name in ("jobs", "jobs_max", "registered", "spools", "spool_bytes")] == [3, 10, 1, 0, 0]
    producer = new_producer()
    spool = SpoolFile(folder, producer, max_bytes=1_000_000)
    empty = value("spool_bytes") or 0
    spool.append(line(producer, 1, "a word or two"))
    assert value("spools") == 1
    assert (value("spool_bytes") or 0) > empty
    (folder / "x.spool").write_bytes(b"no header")
    assert SpoolFolder(folder).claim() == []
    assert (value("spools"), value("spools_unreadable")) == (1, 1)
    spool.remove()

"""How much this worker has to do, and what waits in its spool folder: looked at when Prometheus asks.

Autoscalers read these: `meetai_agent_jobs` over `meetai_agent_jobs_max`. A collector rather than gauges that are set, because what
is set would be a file among the jobs' (`job_counts`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from meetai_agent.adapters.dead_spools import UNREADABLE_SUFFIX
from meetai_agent.adapters.spool_records import SUFFIX


class Load(Struct, frozen=True):
    """A worker at this moment: meetings, how many it takes at most, and whether LiveKit may send it more."""

    jobs: int
    jobs_max: int
    is_registered: bool


class WorkerGauges(Collector):
    """A collector for the worker's registry."""

    def __init__(self, load: Callable[[], Load], spool_folder: Path) -> None:
        self._load = load
        self._folder = spool_folder

    def collect(self) -> Iterable[Metric]:
        """All of it, as it is now."""
        load = self._load()
        yield GaugeMetricFamily("meetai_agent_jobs", "Meetings that this worker serves.", value=load.jobs)
        yield GaugeMetricFamily("meetai_agent_jobs_max", "Meetings that it serves at most.", value=load.jobs_max)
        yield GaugeMetricFamily(
            "meetai_agent_registered",
            "1 while LiveKit knows this worker and may send it meetings; 0 while it drains, too.",
            value=load.is_registered,
        )
        sizes, unreadable = self._spools()
        yield GaugeMetricFamily(
            "meetai_agent_spools",
            "Spools on this worker's disk: one a meeting, and those to be replayed.",
            value=len(sizes),
        )
        yield GaugeMetricFamily(
            "meetai_agent_spool_bytes", "What they hold: lines that the stream hasn't confirmed.", value=sum(sizes)
        )
        yield GaugeMetricFamily(
            "meetai_agent_spools_unreadable", "Spools set aside for a person to look at.", value=unreadable
        )

    def _spools(self) -> tuple[list[int], int]:
        sizes: list[int] = []
        unreadable = 0
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.name.endswith(SUFFIX):
                        sizes.append(entry.stat().st_size)
                    unreadable += entry.name.endswith(UNREADABLE_SUFFIX)
        except OSError:  # not made yet, or a spool that went away meanwhile
            pass
        return sizes, unreadable

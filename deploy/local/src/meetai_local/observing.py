"""How to look at a running stack: where its metrics are, and how dashboards and alerts come to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

SERVICES: Final = ("TOKEN_URL", "WEBHOOK_BRIDGE_URL", "TRANSCRIPT_INGEST_URL", "AGENT_URL")
UNPACKED: Final = ".local/prometheus-programs/usr/bin/prometheus"
"""Where `deploy/observability/get-promtool` puts Debian's."""
DASHBOARDS: Final = "deploy/observability/dashboards/*.json"


def observing(environment: Mapping[str, str], *, which: Callable[[str], str | None]) -> list[str]:
    """What `make up` says of dashboards, a line each.

    Args:
        environment: As in `.local/env`.
        which: Finds a program on PATH, as `shutil.which`.
    """
    metrics = " ".join(f"{environment[name]}/metrics" for name in SERVICES)
    program = "prometheus" if which("prometheus") else UNPACKED
    fetch = "" if which("prometheus") else "deploy/observability/get-promtool && "
    return [
        f"  {'metrics':<18} {metrics}",
        f"  {'dashboards':<18} import {DASHBOARDS} into a Grafana whose data source is Prometheus at http://127.0.0.1:9090;",
        f"  {'':<18} start that, with the alerts, by",
        f"  {'':<18}   {fetch}{program} --config.file=deploy/observability/prometheus.yml \\",
        f"  {'':<18}     --storage.tsdb.path=.local/prometheus --web.listen-address=127.0.0.1:9090 --enable-feature=exemplar-storage",
    ]

"""What `make up` says of metrics and dashboards."""

from __future__ import annotations

from pathlib import Path

from meetai_local.observing import DASHBOARDS, observing

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {
    name: f"http://127.0.0.1:{port}"
    for name, port in (
        ("TOKEN_URL", 8101),
        ("WEBHOOK_BRIDGE_URL", 8102),
        ("TRANSCRIPT_INGEST_URL", 8103),
        ("AGENT_URL", 8104),
    )
}


def test_make_up_says_where_metrics_are_and_how_to_get_dashboards() -> None:
    """With files that exist, at the addresses that the scrape configuration has."""
    told = "\n".join(observing(ENVIRONMENT, which=lambda _: None))
    config = (ROOT / "deploy/observability/prometheus.yml").read_text()
    for url in ENVIRONMENT.values():
        assert f"{url}/metrics" in told
        assert url.removeprefix("http://") in config
    assert DASHBOARDS in told
    assert list(ROOT.glob(DASHBOARDS))
    assert "deploy/observability/get-promtool && " in told
    assert "--enable-feature=exemplar-storage" in told


def test_an_installed_prometheus_is_used() -> None:
    """Nothing is fetched then."""
    told = "\n".join(observing(ENVIRONMENT, which=lambda name: f"/usr/bin/{name}"))
    assert "get-promtool" not in told
    assert " prometheus --config.file=" in told

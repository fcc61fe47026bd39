"""What every service shows of itself by HTTP: readiness, metrics, one line a request, its document."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from structlog.testing import capture_logs
from tests.unit.servicekit.http_service import (
    SECRET,
    breaks,
    create,
    hangs,
    passes,
    says_why,
    warns,
)

from meetai_servicekit import health
from meetai_servicekit.health import NotReadyError


@pytest.fixture
def client() -> Iterator[TestClient[Litestar]]:
    with TestClient(create(), raise_server_exceptions=False) as client:
        yield client


def test_readiness_says_which_and_why_when_dependencies_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are asked at once; one that hangs delays no more than its time; no driver's message is shown."""
    monkeypatch.setattr(health, "CHECK_TIMEOUT_SECONDS", 0.05)
    with TestClient(create(passes=passes, says_why=says_why, breaks=breaks, hangs=hangs)) as client:
        response = client.get("/readyz")
        assert client.get("/livez").json() == {"status": "ok"}
    assert response.status_code == 503
    assert response.json() == {
        "status": "unavailable",
        "checks": {
            "passes": "ok",
            "says_why": "schema is older than this service",
            "breaks": "OSError",
            "hangs": "no answer within 0.05 s",
        },
    }


def test_readiness_is_given_when_all_answer(client: TestClient[Litestar]) -> None:
    """200, not to be cached."""
    response = client.get("/readyz")
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert response.json() == {"status": "ok", "checks": {"passes": "ok"}}


def test_readiness_is_given_with_words_when_a_check_warns() -> None:
    """For the operator: the service is of use."""
    with TestClient(create(redis=warns)) as client:
        response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "checks": {"redis": "ok, but appendonly is off"}}


def test_requests_are_counted_by_route_when_paths_differ(client: TestClient[Litestar]) -> None:
    """By template, so that neither ids nor strangers' paths become labels."""
    for path in ("/meetings/a/things", "/meetings/b%2Fc/things", "/nowhere", "/else/where"):
        client.get(path)
    metrics = client.get("/metrics").text
    count = 'meetai_http_request_seconds_count{method="GET",route="%s",status="%s"} %s'
    assert count % ("/meetings/{meeting_id}/things", "200", "2.0") in metrics
    assert count % ("unmatched", "404", "2.0") in metrics


def test_one_line_is_logged_when_a_request_was_served(client: TestClient[Litestar]) -> None:
    """By route and caller; none for what the platform asks every few seconds."""
    with capture_logs() as logs:
        client.get("/guarded", headers={"Authorization": f"Bearer {SECRET}"})
        for quiet in ("/livez", "/readyz", "/metrics"):
            client.get(quiet)
    (line,) = logs
    assert line.pop("ms") >= 0
    expected = {"event": "request_served", "log_level": "info", "method": "GET", "route": "/guarded", "status": 200}
    assert line == {**expected, "caller": "crm"}


def test_document_is_served_when_it_is_asked_for(client: TestClient[Litestar]) -> None:
    """OpenAPI, with how to authenticate."""
    document = client.get("/schema").json()
    assert document["info"]["title"] == "Tested"
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert "/metrics" not in document["paths"]


def test_metrics_are_written_as_openmetrics_for_who_accepts_it(client: TestClient[Litestar]) -> None:
    """Else in Prometheus' own format; neither has a series for when each was made."""
    plain = client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    open_metrics = client.get(
        "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    )
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert open_metrics.text.endswith("# EOF\n")
    assert "_created" not in plain.text + open_metrics.text


def test_what_readiness_found_is_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    """One state of each check is 1: that it answers and can't do its work is another thing than no answer."""
    mending: list[str] = []

    async def schema() -> None:
        if not mending:
            raise NotReadyError("schema is older than this service")

    async def broken() -> None:
        raise OSError

    with TestClient(create(schema=schema, broken=broken)) as client:
        client.get("/readyz")
        found = client.get("/metrics").text
        mending.append("migrated")
        client.get("/readyz")
        mended = client.get("/metrics").text
    state = 'meetai_readiness{check="%s",state="%s"} %s'
    for check, kind, value in (("schema", "unfit", "1.0"), ("schema", "ok", "0.0"), ("broken", "away", "1.0")):
        assert state % (check, kind, value) in found
    assert state % ("schema", "ok", "1.0") in mended
    assert state % ("schema", "unfit", "0.0") in mended

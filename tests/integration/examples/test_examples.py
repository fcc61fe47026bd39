"""The code of the pages "Next.js" and "Python" in `deploy/docs/integrate`: checked, and run against the real services."""

from __future__ import annotations

import subprocess
from pathlib import Path

import jwt
import pytest
import redis
from deploy.examples.python.app import app
from litestar.testing import TestClient
from tests.integration.token.conftest import livekit
from tests.integration.token.token_process import KEYS, token_process
from tests.integration.transcript_ingest.ingest_process import environment as ingest_environment
from tests.integration.transcript_ingest.ingest_process import ingest
from tests.servers.embedded import EmbeddedServer
from tests.servers.node import FOLDER, needed_node
from tests.unit.transcript_ingest.producing import Producer
from tests.waiting import wait_until

from meetai_contracts.transcript import BATCH_FIELD, stream_key
from meetai_servicekit.auth import new_service_key
from meetai_servicekit.postgres import migrate
from meetai_transcript_ingest.adapters.postgres import MIGRATIONS, SCHEMA

__all__ = ["livekit"]

IN_TIME_SECONDS = 60
CHECK_SECONDS = 120


def tsc(node: str, configuration: Path) -> subprocess.CompletedProcess[str]:
    command = [node, str(FOLDER / "node_modules" / "typescript" / "bin" / "tsc"), "-p", str(configuration)]
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False)


def test_nextjs_code_has_the_right_types_when_it_is_checked() -> None:
    """Against livekit-client's own types, React's and the Web's."""
    checked = tsc(needed_node(), FOLDER / "tsconfig.examples.json")
    assert checked.returncode == 0, checked.stdout


def test_python_backend_lets_people_in_and_reads_what_was_said(
    tmp_path: Path,
    livekit: EmbeddedServer,
    postgres_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By its own rules: the host as host, a stranger not at all."""
    migrate(postgres_url, schema=SCHEMA, migrations=MIGRATIONS)
    key, entry = new_service_key("shop", frozenset({"tokens:host", "transcripts:read"}))
    readers = ingest_environment(postgres_url, redis_url, 0)["SERVICE_KEYS"]
    hosts = ",".join([*(each for _, each in KEYS.values()), entry])
    said = Producer("standup")
    with (
        token_process(tmp_path, livekit.url, {"SERVICE_KEYS": hosts}) as token,
        ingest(tmp_path, postgres_url, redis_url, extra={"SERVICE_KEYS": f"{readers},{entry}"}) as transcripts,
        redis.Redis.from_url(redis_url) as server,
    ):
        for batch in (said.open(), said.say(250), said.close()):
            server.xadd(stream_key(0), {BATCH_FIELD: batch})
        wait_until(lambda: transcripts.is_complete("standup"), seconds=IN_TIME_SECONDS)
        monkeypatch.setenv("MEETAI_SERVICE_KEY", key)
        monkeypatch.setenv("TOKEN_URL", token.url)
        monkeypatch.setenv("TRANSCRIPT_INGEST_URL", transcripts.url)
        with TestClient(app) as client:
            joining = client.post("/meetings/standup/join", headers={"X-Session": "ada:Ada"}).json()
            claims = jwt.decode(joining["participantToken"], options={"verify_signature": False})
            assert (claims["sub"], claims["name"], claims["video"]["room"]) == ("ada", "Ada", "standup")
            assert client.post("/meetings/standup/join", headers={"X-Session": "eve:Eve"}).status_code == 403
            lines = client.get("/meetings/standup/lines", headers={"X-Session": "ben:Ben"}).json()
            assert lines == [f"{line.speaker.name}: {line.text}" for line in said.said]

"""The compose file as Compose reads it, held against what the services take."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from msgspec import Struct
from tests.servers.compose import COMPOSE_FILE, Compose, make_environment

from meetai_agent.settings import AgentSettings
from meetai_agent.worker import CLOSE_SECONDS
from meetai_servicekit.server import GRACEFUL_SECONDS
from meetai_servicekit.settings import load
from meetai_token.settings import TokenSettings
from meetai_transcript_ingest.settings import DatabaseSettings, IngestSettings
from meetai_webhook_bridge.settings import BridgeSettings, MigrationSettings, load_bridge_settings_or_exit

SETTINGS: Final[Mapping[str, type[Struct]]] = {
    "token": TokenSettings,
    "webhook-bridge": BridgeSettings,
    "webhook-bridge-migrate": MigrationSettings,
    "transcript-ingest": IngestSettings,
    "transcript-ingest-migrate": DatabaseSettings,
    "agent": AgentSettings,
}
OF_THE_SDK: Final = {"OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"}
"""OpenTelemetry's SDK reads these by itself (opentelemetry.sdk.trace.sampling)."""
SERVING: Final = tuple(name for name in SETTINGS if not name.endswith("-migrate"))


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The services of the compose file with the secrets that `compose-env` makes, every variable filled in."""
    environment = make_environment(tmp_path_factory.mktemp("compose") / ".env")
    assert environment.stat().st_mode & 0o077 == 0
    found: dict[str, Any] = msgspec.yaml.decode(Compose(environment).must("config"))["services"]
    return found


def told(service: Mapping[str, Any]) -> dict[str, str]:
    """A service's environment."""
    return {name: str(value) for name, value in service["environment"].items() if value not in {None, ""}}


@pytest.mark.parametrize("name", SETTINGS)
def test_service_takes_all_that_compose_tells_it(services: Mapping[str, Any], name: str) -> None:
    """No variable is missing, wrong, or known to nobody."""
    load(SETTINGS[name], told(services[name]))
    if name == "webhook-bridge":
        load_bridge_settings_or_exit(told(services[name]))
    known = {field.name.upper() for field in msgspec.structs.fields(SETTINGS[name])}
    assert services[name]["environment"].keys() - known - OF_THE_SDK == set()


@pytest.mark.parametrize("name", SERVING)
def test_services_trace_nowhere_when_nobody_said_where(services: Mapping[str, Any], name: str) -> None:
    """Each can be told, and the sampler is one that the SDK knows."""
    environment = services[name]["environment"]
    assert environment.keys() >= {"OTEL_EXPORTER_OTLP_ENDPOINT", *OF_THE_SDK}
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in told(services[name])
    assert told(services[name])["OTEL_TRACES_SAMPLER"] == "parentbased_always_on"


def test_agents_and_callers_agree_on_what_they_share(services: Mapping[str, Any]) -> None:
    """One key pair, one Redis, one database, one list of callers."""
    for shared in ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "REDIS_URL", "DATABASE_URL", "SERVICE_KEYS", "LIVEKIT_URL"):
        values = {told(services[name])[shared] for name in SETTINGS if shared in told(services[name])}
        assert len(values) == 1, shared
    livekit = msgspec.yaml.decode(services["livekit"]["environment"]["LIVEKIT_CONFIG"])
    pair = {told(services["token"])["LIVEKIT_API_KEY"]: told(services["token"])["LIVEKIT_API_SECRET"]}
    assert livekit["keys"] == pair
    assert livekit["webhook"]["api_key"] in pair


@pytest.mark.parametrize("name", SETTINGS)
def test_service_is_confined(services: Mapping[str, Any], name: str) -> None:
    """It writes nowhere, may nothing that root may, and cannot take the machine's memory."""
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.keys() >= {"mem_limit", "pids_limit", "cpus"}


@pytest.mark.parametrize("name", SERVING)
def test_service_starts_after_what_it_needs_is_well(services: Mapping[str, Any], name: str) -> None:
    """And after its tables are there."""
    waits = {needed: how["condition"] for needed, how in services[name]["depends_on"].items()}
    environment = told(services[name])
    assert waits.get("redis") == "service_healthy"
    assert (waits.get("postgres") == "service_healthy") is ("DATABASE_URL" in environment)
    assert (waits.get("livekit") == "service_healthy") is ("LIVEKIT_URL" in environment)
    if "DATABASE_URL" in environment:
        assert waits[f"{name}-migrate"] == "service_completed_successfully"
    assert "healthcheck" in services[name]


def test_everything_listens_on_this_machine_alone(services: Mapping[str, Any]) -> None:
    """Development stays where it is unless somebody says otherwise; Postgres and Redis aren't published at all."""
    ports = {name: service.get("ports", []) for name, service in services.items()}
    for port in (port for each in ports.values() for port in each):
        assert (port["host_ip"] if isinstance(port, dict) else port).startswith("127.0.0.1")
    assert ports["postgres"] == ports["redis"] == []


def test_every_image_is_pinned(services: Mapping[str, Any]) -> None:
    """By a version, never `latest`."""
    for name, service in services.items():
        assert re.search(r":[^:/]+$", service["image"]), name
        assert not service["image"].endswith(":latest"), name


def seconds_of(duration: str) -> int:
    """A duration as `docker compose config` writes it: `180s`, `3m0s`."""
    return sum(
        int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in re.findall(r"(\d+)([hms])", duration)
    )


@pytest.mark.parametrize("name", SERVING)
def test_grace_is_longer_than_what_ending_takes(services: Mapping[str, Any], name: str) -> None:
    """Else Docker kills an agent while its meetings' last words are recognised."""
    needed = float(GRACEFUL_SECONDS)
    if "DRAIN_SECONDS" in told(services[name]):
        needed += int(told(services[name])["DRAIN_SECONDS"]) + CLOSE_SECONDS
    assert seconds_of(services[name]["stop_grace_period"]) > needed


def test_missing_secret_is_named_when_there_is_no_environment(tmp_path: Path) -> None:
    """There is no default password to forget."""
    empty = tmp_path / "empty"
    empty.touch()
    config = Compose(empty).run("config")
    assert config.returncode != 0
    assert "run deploy/compose-env" in config.stderr


def test_shell_reads_what_the_example_says(tmp_path: Path) -> None:
    """All of it, uncommented: `. deploy/.env` is how one gets at the key."""
    example = COMPOSE_FILE.with_name("compose.env.example").read_text(encoding="utf-8")
    lines, file = re.findall(r"^#?([A-Z_]+=.*)$", example, flags=re.MULTILINE), tmp_path / "env"
    file.write_text("\n".join(lines), encoding="utf-8")
    read = subprocess.run(
        ["sh", "-euc", '. "$1"; printf "%s|%s" "$LIVEKIT_ARGS" "$INNGEST_ARGS"', "sh", file],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert read.stdout == "--node-ip 192.168.1.20|--sdk-url http://host.docker.internal:3000/api/inngest"


def test_compose_reads_arguments_that_are_quoted(tmp_path: Path) -> None:
    """As two, without the quotes."""
    environment = make_environment(tmp_path / ".env", 'LIVEKIT_ARGS="--node-ip 192.168.1.20"\n')
    config = msgspec.yaml.decode(Compose(environment).must("config"))
    command = config["services"]["livekit"]["command"]
    assert (command.split() if isinstance(command, str) else command) == ["--node-ip", "192.168.1.20"]


def test_example_lists_every_variable_of_the_compose_file() -> None:
    """So that nobody has to read the one to write the other."""
    used = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE_FILE.read_text(encoding="utf-8")))
    example = COMPOSE_FILE.with_name("compose.env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^#?([A-Z_]+)=", example, flags=re.MULTILINE)) == used

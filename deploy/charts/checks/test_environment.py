"""What the charts set is what the services read: each container's environment goes through the service's own settings class."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from deploy.charts.checks.layout import SERVICES, SETTINGS
from deploy.charts.checks.rendering import Manifest, matrix, of_kind, pod_of, rendered_matrix

from meetai_agent.settings import AgentSettings
from meetai_agent.worker import CLOSE_SECONDS
from meetai_servicekit.auth import new_service_key
from meetai_servicekit.server import GRACEFUL_SECONDS
from meetai_servicekit.settings import load
from meetai_token.settings import TokenSettings
from meetai_transcript_ingest.settings import DatabaseSettings, IngestSettings
from meetai_webhook_bridge.settings import BridgeSettings, MigrationSettings, load_bridge_settings_or_exit

IN_SECRETS = {
    ("meetai-livekit", "api-key"): "key",
    ("meetai-livekit", "api-secret"): "s" * 32,
    ("meetai-livekit", "next-api-key"): "next",
    ("meetai-livekit", "next-api-secret"): "n" * 32,
    ("meetai-redis", "url"): "rediss://:password@redis:6379/0",
    ("meetai-database", "url"): "postgresql://meetai:password@postgres:5432/meetai",
    ("meetai-database-owner", "url"): "postgresql://owner:password@postgres:5432/meetai",
    ("meetai-inngest", "event-key"): "event-key",
    ("meetai-inngest", "signing-key"): "signkey-prod-0123",
    ("meetai-providers", "openai"): "sk-0123",
    ("meetai-providers", "deepgram"): "dg-0123",
    **{("meetai-service-keys", name): new_service_key(name, frozenset({"tokens:host"}))[1] for name in SERVICES},
}
"""What somebody who installs the charts has made, as deploy/docs/kubernetes.md says."""


def environment_of(container: Manifest) -> dict[str, str]:
    """The environment that the container gets, `$(NAME)` and Secrets filled in as Kubernetes does."""
    environment: dict[str, str] = {}
    for variable in container["env"]:
        if "value" in variable:
            value = re.sub(r"\$\((\w+)\)", lambda match: environment[match[1]], variable["value"])
        else:
            reference = variable["valueFrom"]["secretKeyRef"]
            value = IN_SECRETS[reference["name"], reference["key"]]
        environment[variable["name"]] = value
    return environment


def service_environment(name: str, service: str) -> dict[str, str] | None:
    """The environment of a service under some values; None where it isn't installed."""
    deployment = of_kind(rendered_matrix(name), "Deployment").get(f"meetai-{service}")
    pod = pod_of(deployment) if deployment else None
    return environment_of(pod["containers"][0]) if pod else None


@pytest.mark.parametrize("name", matrix())
@pytest.mark.parametrize("service", SERVICES)
def test_service_starts_with_what_the_chart_sets(name: str, service: str) -> None:
    environment = service_environment(name, service)
    if environment is None:
        assert name == "parts"
        return
    settings: Any = load(SETTINGS[service], environment)
    if isinstance(settings, BridgeSettings):
        assert load_bridge_settings_or_exit(environment) == settings
    assert settings.host == "0.0.0.0"
    pod = pod_of(of_kind(rendered_matrix(name), "Deployment")[f"meetai-{service}"])
    assert pod is not None
    assert pod["containers"][0]["ports"] == [{"name": "http", "containerPort": settings.port}]


def test_every_setting_can_be_set_and_nothing_else_is() -> None:
    """What is set under the matrix's values, all together, is each settings class, but for the port, which is fixed."""
    for service, settings in SETTINGS.items():
        known = {field.name.upper() for field in msgspec.structs.fields(settings)} - {"PORT"}
        found: set[str] = set()
        for name in matrix():
            found |= set(service_environment(name, service) or {})
        spare = (
            {"LIVEKIT_API_KEY_NEXT", "LIVEKIT_API_SECRET_NEXT"}
            if service in {"webhook-bridge", "transcript-ingest"}
            else set()
        )
        assert found - spare == known, service


def test_values_arrive_as_they_were_written() -> None:
    """Numbers stay whole, lists become what the settings split, and both key pairs arrive."""
    token = load(TokenSettings, service_environment("everything", "token") or {})
    assert (token.token_ttl_seconds, token.trusted_proxies) == (300, ("10.0.0.0/8", "192.168.1.7"))
    assert token.cors_credentials
    assert token.livekit_public_url == "wss://livekit.example.org"
    agent = load(AgentSettings, service_environment("everything", "agent") or {})
    assert (agent.spool_max_bytes, agent.transcript_stream_shards) == (16 * 1024 * 1024, 4)
    ingest = load(IngestSettings, service_environment("everything", "transcript-ingest") or {})
    assert (ingest.retention_days, ingest.completion_quiet_seconds) == (365, 30.5)
    assert ingest.transcript_stream_shards == agent.transcript_stream_shards
    rotating = load(BridgeSettings, service_environment("two-key-pairs", "webhook-bridge") or {})
    assert [(key, secret.reveal()) for key, secret in rotating.livekit_more_keys] == [("next", "n" * 32)]
    assert load(TokenSettings, service_environment("two-key-pairs", "token") or {}).next_key_pair is not None


def test_migrations_have_what_they_need_and_no_more() -> None:
    for name in matrix():
        jobs = of_kind(rendered_matrix(name), "Job")
        for service, settings in (("webhook-bridge", MigrationSettings), ("transcript-ingest", DatabaseSettings)):
            job = jobs.get(f"meetai-{service}-migrate")
            if job is None:
                assert (name, service) == ("parts", "webhook-bridge")
                continue
            pod = pod_of(job)
            assert pod is not None
            environment = environment_of(pod["containers"][0])
            load(settings, environment)
            assert set(environment) == {"DATABASE_URL", "LOG_LEVEL"}
            assert pod["containers"][0]["args"] == ["migrate"]


def test_grace_is_longer_than_what_ending_takes() -> None:
    for name in matrix():
        for deployment in of_kind(rendered_matrix(name), "Deployment").values():
            pod = pod_of(deployment)
            assert pod is not None
            container, grace = pod["containers"][0], pod["terminationGracePeriodSeconds"]
            environment = environment_of(container)
            needed = float(GRACEFUL_SECONDS)
            if "DRAIN_SECONDS" in environment:
                needed += int(environment["DRAIN_SECONDS"]) + CLOSE_SECONDS
            else:
                needed += container["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert grace > needed

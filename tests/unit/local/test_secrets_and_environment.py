"""What the stack keeps secret, and what it tells its clients."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from meetai_local import client_environment
from meetai_local.credentials import SCOPES, Credentials, load_or_make
from meetai_local.errors import StackError
from meetai_local.settings import Ports, StackSettings
from meetai_servicekit.auth import ServiceKeys

PUBLISHED_KEYS = {
    *("LIVEKIT_URL", "LIVEKIT_PUBLIC_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "DATABASE_URL", "REDIS_URL"),
    *("INNGEST_DEV", "INNGEST_BASE_URL", "INNGEST_EVENT_KEY", "INNGEST_SIGNING_KEY"),
    *("TOKEN_URL", "WEBHOOK_BRIDGE_URL", "TRANSCRIPT_INGEST_URL", "AGENT_URL", "SERVICE_KEY"),
}


def test_credentials_stay_the_same_when_loaded_again(tmp_path: Path) -> None:
    """The databases were made with them."""
    path = tmp_path / "secrets.json"
    first = load_or_make(path)
    assert load_or_make(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first.livekit_api_secret) >= 32
    assert first.service_key not in repr(first)


def test_start_is_refused_when_the_credentials_are_damaged(tmp_path: Path) -> None:
    """New ones would not open the databases that the old ones made."""
    path = tmp_path / "secrets.json"
    path.write_text('{"livekit_api_key": "x"')
    with pytest.raises(StackError, match="make clean"):
        load_or_make(path)


def test_service_key_opens_the_services_when_they_hold_its_hash() -> None:
    """The services' own parser takes the setting, and knows the key by it."""
    credentials = Credentials.new()
    holder = ServiceKeys.parse_setting(credentials.hashed_service_keys()).holder_of(credentials.service_key)
    assert holder is not None
    assert (holder.name, holder.scopes) == ("local", frozenset(SCOPES))
    assert credentials.service_key not in credentials.hashed_service_keys()


def test_environment_file_reads_back_as_written_and_is_private(tmp_path: Path) -> None:
    """Dotenv form, mode 600, and just the names that clients are promised."""
    environment = client_environment.client_environment(StackSettings(ports=Ports()), Credentials.new())
    client_environment.write(tmp_path / "env", environment)
    assert client_environment.read(tmp_path / "env") == environment
    assert set(environment) == PUBLISHED_KEYS
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600
    assert environment["LIVEKIT_URL"] == "ws://127.0.0.1:7880"


def test_events_go_elsewhere_when_an_inngest_address_is_set() -> None:
    """A client that reads events back finds them where the bridge sends them."""
    settings = StackSettings(inngest_url="http://127.0.0.1:9999")
    environment = client_environment.client_environment(settings, Credentials.new())
    assert environment["INNGEST_DEV"] == environment["INNGEST_BASE_URL"] == "http://127.0.0.1:9999"

"""The environment: every wrong setting named at once, never a value."""

from __future__ import annotations

import pytest

from meetai_servicekit.auth import new_service_key
from meetai_servicekit.secret import Secret
from meetai_webhook_bridge.settings import BridgeSettings, load_bridge_settings_or_exit

GOOD = {
    "REDIS_URL": "redis://:password@localhost:6379/0",
    "DATABASE_URL": "postgresql://user:pass@localhost/db",
    "LIVEKIT_API_KEY": "key",
    "LIVEKIT_API_SECRET": "secret" * 6,
    "LIVEKIT_URL": "ws://localhost:7880",
    "SERVICE_KEYS": new_service_key("app", frozenset({"events:read"}))[1],
    "INNGEST_EVENT_KEY": "event-key",
}


def problems(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The settings that are named, in order."""
    with pytest.raises(SystemExit) as leaving:
        load_bridge_settings_or_exit(environ)
    assert leaving.value.code == 2
    return [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()]


def loaded(**changed: str) -> BridgeSettings:
    return load_bridge_settings_or_exit({**GOOD, **changed})


def test_everything_is_named_when_nothing_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    """At once, so that nobody has to try again and again."""
    assert problems({}, capsys) == [
        "DATABASE_URL",
        "REDIS_URL",
        "LIVEKIT_URL",
        "LIVEKIT_API_KEY",
        "LIVEKIT_API_SECRET",
        "SERVICE_KEYS",
        "INNGEST_EVENT_KEY",
    ]


def test_everything_that_is_wrong_is_named_without_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong and missing ones together."""
    wrong = {
        "DATABASE_URL": "hunter2",
        "REDIS_URL": "hunter2",
        "LIVEKIT_URL": "hunter2",
        "LIVEKIT_API_KEY": "key",
        "LIVEKIT_API_SECRET": "hunter2",
        "LIVEKIT_MORE_KEYS": "old:hunter2,hunter2",
        "SERVICE_KEYS": "hunter2",
        "INNGEST_DEV": "hunter2",
        "INNGEST_BASE_URL": "hunter2",
        "RELAY_EVENTS": "room_finished,Hunter2!",
        "PORT": "hunter2",
        "LOG_LEVEL": "hunter2",
    }
    with pytest.raises(SystemExit):
        load_bridge_settings_or_exit(wrong)
    error = capsys.readouterr().err
    named = {line.split(": ")[1] for line in error.splitlines()}
    assert named == wrong.keys() - {"LIVEKIT_API_KEY"}
    assert "unter2" not in error


@pytest.mark.parametrize("dev", ["", "0", "false"])
def test_an_event_key_is_needed_when_there_is_no_dev_server(dev: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Events would go nowhere."""
    assert problems({**GOOD, "INNGEST_EVENT_KEY": "", "INNGEST_DEV": dev}, capsys) == ["INNGEST_EVENT_KEY"]


@pytest.mark.parametrize(
    ("dev", "url"),
    [
        ("1", "http://127.0.0.1:8288"),
        ("true", "http://127.0.0.1:8288"),
        ("http://inngest:8288", "http://inngest:8288"),
        ("0", ""),
    ],
)
def test_the_dev_server_is_read_as_the_sdk_reads_it(dev: str, url: str) -> None:
    """A switch or an address."""
    assert loaded(INNGEST_DEV=dev).inngest_dev == url


def test_a_finished_room_is_relayed_when_the_setting_names_others() -> None:
    """A meeting's end can't be switched off by accident."""
    assert loaded(RELAY_EVENTS="participant_joined, egress_ended").relayed == {
        "room_finished",
        "participant_joined",
        "egress_ended",
    }
    assert loaded().relayed == {"room_finished"}


def test_more_keys_are_read_when_a_key_is_rotated() -> None:
    """Pairs, separated by commas; a secret may hold a colon."""
    assert tuple(loaded(LIVEKIT_MORE_KEYS="old:one:two, older:three").livekit_more_keys) == (
        ("old", Secret("one:two")),
        ("older", Secret("three")),
    )


def test_no_secret_is_shown_when_settings_are_printed() -> None:
    """In a traceback, say."""
    text = repr(loaded(LIVEKIT_MORE_KEYS="old:hidden", INNGEST_SIGNING_KEY="hidden"))
    assert "hidden" not in text
    assert "pass@" not in text
    assert "event-key" not in text

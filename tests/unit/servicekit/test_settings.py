"""The environment, read once: every problem at once, by name, and never with its value."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from meetai_servicekit.auth import ServiceKeys
from meetai_servicekit.secret import RedisUrl, Secret
from meetai_servicekit.settings import HttpSettings, SettingsError, load, load_or_exit

DIGEST = "0" * 64


class Everything(HttpSettings, frozen=True, kw_only=True):
    url: Annotated[str, Meta(pattern="^wss?://", description="Where it is.")]
    api_secret: Secret
    service_keys: ServiceKeys
    port: Annotated[int, Meta(ge=1, le=65_535)] = 80
    ratio: float = 0.5
    fast: bool = False
    mode: Literal["plain", "fancy"] = "plain"
    nickname: Annotated[str, Meta(min_length=2)] | None = None
    origins: tuple[Annotated[str, Meta(pattern="^https://")], ...] = ()


GOOD = {"URL": "ws://x", "API_SECRET": "s3cret", "SERVICE_KEYS": f"crm:{DIGEST}:tokens:host"}


def problems_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as failure:
        load(Everything, environ)
    return failure.value.problems


def test_values_are_typed_when_all_are_right() -> None:
    """Each as its annotation says; variables that nobody asked for are ignored."""
    more = {
        "PORT": "8101",
        "RATIO": "0.25",
        "FAST": "true",
        "MODE": "fancy",
        "NICKNAME": "ab",
        "ORIGINS": "https://a, https://b,",
        "HOST": "0.0.0.0",
        "PATH": "/bin",
    }
    settings = load(Everything, {**GOOD, **more})
    assert (settings.port, settings.ratio, settings.fast, settings.mode) == (8101, 0.25, True, "fancy")
    assert (settings.nickname, settings.origins, settings.host) == ("ab", ("https://a", "https://b"), "0.0.0.0")
    assert settings.api_secret.reveal() == "s3cret"
    assert [key.name for key in settings.service_keys.keys] == ["crm"]


def test_defaults_hold_when_variables_are_absent_or_empty() -> None:
    """`X=` in a .env file or a chart is how people leave something out."""
    optional = ("PORT", "RATIO", "FAST", "MODE", "NICKNAME", "ORIGINS", "HOST", "LOG_LEVEL")
    assert load(Everything, {**GOOD, **dict.fromkeys(optional, "")}) == load(Everything, GOOD)


def test_required_is_missing_when_empty() -> None:
    """And it is told what it would be."""
    assert "URL: is required (Where it is)" in problems_of({**GOOD, "URL": ""})


def test_every_problem_is_named_when_everything_is_wrong() -> None:
    """One line each, in the order of declaration, without any value."""
    wrong = {
        "URL": "Qx7",
        "SERVICE_KEYS": "Qx7",
        "PORT": "Qx7",
        "RATIO": "Qx7",
        "FAST": "Qx7",
        "MODE": "Qx7",
        "NICKNAME": "Q",
        "ORIGINS": "https://a,Qx7",
        "LOG_LEVEL": "Qx7",
    }
    problems = problems_of(wrong)
    named = [problem.partition(":")[0] for problem in problems]
    assert sorted(named) == sorted([*wrong, "API_SECRET"])
    assert "Qx7" not in " ".join(problems)


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x4FFF), min_size=3, max_size=9))
def test_value_is_never_shown_when_it_is_wrong(value: str) -> None:
    """Whatever the value, whichever the setting: it may be a secret in the wrong place."""
    names = ("URL", "SERVICE_KEYS", "PORT", "RATIO", "FAST", "MODE", "ORIGINS", "LOG_LEVEL")
    problems = problems_of({**GOOD, **dict.fromkeys(names, value)})
    assert len(problems) == len(names)
    assert value not in " ".join(problems)


class Stored(Struct, frozen=True):
    redis_url: RedisUrl


@pytest.mark.parametrize("path", ["", "/", "/0", "/15"])
def test_redis_is_taken_when_its_database_is_a_number_or_left_out(path: str) -> None:
    url = f"rediss://:password@localhost:6379{path}"
    assert load(Stored, {"REDIS_URL": url}).redis_url.reveal() == url


@pytest.mark.parametrize("path", ["/x", "/0/1", "/-1", "/٣"])
def test_redis_is_refused_when_its_database_is_no_number(path: str) -> None:
    """The client would take the first database without a word."""
    with pytest.raises(SettingsError, match="REDIS_URL: must end in the number of a database"):
        load(Stored, {"REDIS_URL": f"redis://localhost:6379{path}"})


class Checked(Struct, frozen=True):
    low: int = 1
    high: int = 2

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("LOW must not be above HIGH")


def test_problem_is_named_when_two_settings_do_not_go_together() -> None:
    """A Struct's own check is a problem like any other."""
    with pytest.raises(SettingsError, match="LOW must not be above HIGH"):
        load(Checked, {"LOW": "3"})


def test_process_ends_with_two_when_settings_are_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything has been started, with a line a problem on stderr."""
    with pytest.raises(SystemExit) as end:
        load_or_exit(Everything, {"URL": "ws://x"})
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        "settings: API_SECRET: is required (see the service's settings.py)",
        "settings: SERVICE_KEYS: is required (see the service's settings.py)",
    ]


def test_secret_is_hidden_when_shown() -> None:
    """In every way that Python has to make text of a thing."""
    secret = Secret("s3cret")
    settings = load(Everything, GOOD)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", "%s" % secret, repr(settings), str([secret])]  # noqa: UP031 - one of the ways
    assert not any("s3cret" in text for text in shown)
    assert secret.reveal() == "s3cret"


def test_secrets_are_equal_when_their_values_are() -> None:
    """So that settings can be compared; a secret never equals its text."""
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"

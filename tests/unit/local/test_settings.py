"""What can be set about the local stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from meetai_local.settings import Ports, from_environment
from meetai_servicekit.settings import SettingsError


def test_ports_are_the_documented_ones_when_nothing_is_set() -> None:
    """The table in the README and the services' own defaults agree with these."""
    ports = from_environment({}).ports
    assert (ports.token, ports.webhook_bridge, ports.transcript_ingest, ports.agent) == (8101, 8102, 8103, 8104)
    assert (ports.livekit, ports.postgres, ports.redis, ports.inngest) == (7880, 54329, 63799, 8288)


def test_port_moves_when_its_setting_is_set() -> None:
    """The setting that an error message names is the one that is read."""
    settings = from_environment(
        {Ports.setting(field): str(9000 + i) for i, field in enumerate(Ports.__struct_fields__)}
    )
    assert [getattr(settings.ports, field) for field in Ports.__struct_fields__] == [*range(9000, 9010)]


def test_all_problems_are_named_when_several_settings_are_wrong() -> None:
    """A person corrects them in one go."""
    with pytest.raises(SettingsError) as caught:
        from_environment({"MEETAI_TOKEN_PORT": "eighty", "MEETAI_AGENT_PORT": "80", "MEETAI_INNGEST": "cloud"})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "MEETAI_TOKEN_PORT",
        "MEETAI_AGENT_PORT",
        "MEETAI_INNGEST",
    ]


@pytest.mark.parametrize(("value", "url"), [("1", None), ("", None), ("http://10.0.0.5:8288/", "http://10.0.0.5:8288")])
def test_inngest_is_elsewhere_when_inngest_dev_is_an_address(value: str, url: str | None) -> None:
    """`INNGEST_DEV=1` only says that it is a dev server."""
    assert from_environment({"INNGEST_DEV": value}).inngest_url == url


def test_root_is_absolute_when_it_is_not_set() -> None:
    """Children run in other folders."""
    assert from_environment({}).root == Path.cwd() / ".local"


def test_the_agents_providers_and_keys_are_passed_on_when_they_are_set() -> None:
    """To the agent, and nothing else of the environment."""
    environment = {"LLM": "openai/gpt", "OPENAI_API_KEY": "sk", "TTS": "", "HOME": "/root"}
    assert from_environment(environment).agent_environment == {"LLM": "openai/gpt", "OPENAI_API_KEY": "sk"}

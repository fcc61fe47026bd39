"""The environment: who may start a run, Inngest by its signature or a dev server without one."""

from __future__ import annotations

import pytest

from meetai_post_meeting.settings import PostMeetingSettings
from meetai_servicekit.settings import SettingsError, load

GOOD = {"TRANSCRIPT_INGEST_URL": "http://localhost:8103", "SERVICE_KEY": "key"}


@pytest.mark.parametrize("dev", ["", "0", "false", "False"])
def test_signing_key_is_needed_when_the_dev_server_is_switched_off(dev: str) -> None:
    """Else anybody could start a run."""
    with pytest.raises(SettingsError) as refused:
        load(PostMeetingSettings, {**GOOD, "INNGEST_DEV": dev})
    assert [problem.split(": ")[0] for problem in refused.value.problems] == ["INNGEST_SIGNING_KEY"]


@pytest.mark.parametrize("dev", ["no", "off", " ", "inngest:8288"])
def test_setting_is_refused_when_it_is_neither_a_switch_nor_an_address(dev: str) -> None:
    """What isn't understood doesn't switch signing off."""
    with pytest.raises(SettingsError) as refused:
        load(PostMeetingSettings, {**GOOD, "INNGEST_DEV": dev, "INNGEST_SIGNING_KEY": "key"})
    assert [problem.split(": ")[0] for problem in refused.value.problems] == ["INNGEST_DEV"]


@pytest.mark.parametrize("dev", ["1", "true", "http://inngest:8288"])
def test_no_key_is_needed_when_there_is_a_dev_server(dev: str) -> None:
    """It signs nothing."""
    assert load(PostMeetingSettings, {**GOOD, "INNGEST_DEV": dev}).inngest_dev

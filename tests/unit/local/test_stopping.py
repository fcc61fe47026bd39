"""How long what is told to end may take."""

from __future__ import annotations

from meetai_agent.worker import CLOSE_SECONDS
from meetai_local.app import STOP_SECONDS
from meetai_local.part import LONGEST_STOP_SECONDS
from meetai_servicekit.server import GRACEFUL_SECONDS


def test_agent_may_finish_its_meetings() -> None:
    """A slow recogniser's last words are in the transcript; the framework's shortest drain is a second."""
    assert LONGEST_STOP_SECONDS > 1 + CLOSE_SECONDS + GRACEFUL_SECONDS


def test_make_down_waits_for_the_agent_and_then_the_servers() -> None:
    """It doesn't give up on a stack that ends in good order."""
    assert STOP_SECONDS > LONGEST_STOP_SECONDS

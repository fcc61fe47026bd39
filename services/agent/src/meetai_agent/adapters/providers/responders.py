"""Responders by the setting `LLM`: `provider/model` to something that answers.

Owns the list of them. What a provider needs is imported only when a setting names it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from livekit.agents import llm

from meetai_agent.adapters.rules_llm import RulesLLM
from meetai_agent.domain.briefing import Briefing
from meetai_agent.domain.errors import UnknownProviderError
from meetai_agent.domain.providers import ProviderAccess

OFF: Final = "none"
"""The agent transcribes and never answers."""
RULES: Final = "local/rules"

NewResponder = Callable[[Callable[[], Briefing]], llm.LLM[Any]]
"""Makes a responder for one meeting; the argument gives what is known of it when an answer is due."""


def check_responder(setting: str, _access: ProviderAccess) -> None:
    """Say at start-up what would keep `load_responder` from working.

    Raises:
        UnknownProviderError: no such provider or model.
    """
    if setting not in {OFF, RULES}:
        raise UnknownProviderError(f"LLM: {setting!r} is not known; known are {RULES} and {OFF}")


def load_responder(setting: str, access: ProviderAccess) -> NewResponder | None:
    """Load what `LLM` names, once a process; None where that is nothing.

    Raises:
        UnknownProviderError: as `check_responder`.
    """
    check_responder(setting, access)
    return None if setting == OFF else RulesLLM

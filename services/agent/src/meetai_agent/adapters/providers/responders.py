"""Responders by the setting `LLM`: `provider/model`, and after commas those that take over when it fails.

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
ATTEMPT_SECONDS: Final = 8.0
"""With others after it, a responder has so long for each piece of an answer; a person waits for the first."""

Known = Callable[[], Briefing]
"""Gives what is known of the meeting at that moment."""
NewResponder = Callable[[Known], llm.LLM[Any]]
"""Makes a responder for one meeting."""


def check_responder(setting: str, access: ProviderAccess) -> None:
    """Say at start-up what would keep `load_responder` from working.

    Raises:
        UnknownProviderError: of one of them: no such provider or model, or its key isn't set.
    """
    if setting == OFF:
        return
    for name in setting.split(","):
        provider, _, model = name.strip().partition("/")
        if provider not in _PROVIDERS or not model:
            raise UnknownProviderError(
                f"LLM: {provider!r} is not a provider; known are local/rules, openai/<model> and {OFF}"
            )
        _PROVIDERS[provider][0](model, access)


def load_responder(setting: str, access: ProviderAccess) -> NewResponder | None:
    """Load what `LLM` names, once a process; None where that is nothing.

    Raises:
        UnknownProviderError: as `check_responder`.
    """
    check_responder(setting, access)
    if setting == OFF:
        return None
    names = [name.strip().partition("/") for name in setting.split(",")]
    makes = [_PROVIDERS[provider][1](model, access) for provider, _, model in names]
    if len(makes) == 1:
        return makes[0]
    return lambda known: llm.FallbackAdapter([make(known) for make in makes], attempt_timeout=ATTEMPT_SECONDS)


def _check_local(model: str, _access: ProviderAccess) -> None:
    if model != "rules":
        raise UnknownProviderError(f"LLM: local/{model} is not known; local/rules is")


def _load_local(_model: str, _access: ProviderAccess) -> NewResponder:
    return RulesLLM


def _check_openai(model: str, access: ProviderAccess) -> None:
    if access.openai_api_key is None:
        raise UnknownProviderError(f"OPENAI_API_KEY: is required by LLM=openai/{model}")


def _load_openai(model: str, access: ProviderAccess) -> NewResponder:
    from livekit.plugins import openai  # noqa: PLC0415 - it takes memory and start-up time

    key = access.openai_api_key
    assert key is not None  # noqa: S101 - for the type checker: it has been checked
    url = access.openai_base_url or "https://api.openai.com/v1"
    return lambda _known: openai.LLM(model=model, api_key=key.reveal(), base_url=url, max_retries=0)


_PROVIDERS: Final[
    dict[str, tuple[Callable[[str, ProviderAccess], None], Callable[[str, ProviderAccess], NewResponder]]]
] = {
    "local": (_check_local, _load_local),
    "openai": (_check_openai, _load_openai),
}

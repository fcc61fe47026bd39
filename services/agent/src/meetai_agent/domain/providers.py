"""Who recognises, answers and speaks: `provider/model`, and what an operator gives us to reach them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from msgspec import Struct

from meetai_servicekit.secret import Secret


class ProviderAccess(Struct, frozen=True, kw_only=True):
    """Keys and addresses of providers, shared by all that one provider does for us. Fields are named as their settings.

    Attributes:
        openai_base_url: Whatever speaks OpenAI's API; None is OpenAI itself.
        deepgram_base_url: A Deepgram of one's own, `https://…/v1`; None is Deepgram's cloud.
    """

    openai_api_key: Secret | None = None
    openai_base_url: str | None = None
    deepgram_api_key: Secret | None = None
    deepgram_base_url: str | None = None

    @property
    def given(self) -> frozenset[str]:
        """The fields that are set."""
        return frozenset(name for name in self.__struct_fields__ if getattr(self, name) is not None)


KEYS: Final[Mapping[str, str]] = {"openai": "openai_api_key", "deepgram": "deepgram_api_key"}
"""The key that each provider needs, by its field in `ProviderAccess`."""


def named(setting: str) -> list[str]:
    """The providers that a setting such as `STT` names, in its order."""
    return [name.strip().partition("/")[0] for name in setting.split(",")]


def missing_keys(chosen: Mapping[str, str], given: Collection[str]) -> list[str]:
    """Keys that chosen providers need and that aren't given: `KEY: is required by SETTING=provider`, each key once.

    Args:
        chosen: Settings such as `STT` and what they name: `provider/model`, several separated by commas.
        given: Names of the keys that are there.
    """
    problems: dict[str, str] = {}
    for setting, names in chosen.items():
        for provider in named(names):
            key = KEYS.get(provider)
            if key is not None and key not in given:
                problems.setdefault(key, f"{key.upper()}: is required by {setting}={provider}/…")
    return list(problems.values())

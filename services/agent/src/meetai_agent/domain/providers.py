"""Who recognises, answers and speaks: `provider/model`, and what an operator gives us to reach them."""

from __future__ import annotations

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

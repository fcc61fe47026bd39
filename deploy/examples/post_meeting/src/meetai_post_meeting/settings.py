"""The environment of this example, read once; `INNGEST_*` beside it are read by Inngest's SDK under its own names."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from meetai_servicekit.secret import Secret
from meetai_servicekit.settings import HttpSettings, InngestDev

Url = Annotated[str, Meta(pattern=r"^https?://[^\s/?#]+[^\s?#]*$")]


class PostMeetingSettings(HttpSettings, frozen=True, kw_only=True):
    """What it needs.

    Attributes:
        service_key: With `transcripts:read` and `transcripts:summarise`.
        summary_model: Of whatever speaks OpenAI's chat completions at `openai_base_url`; without it the summary is extractive.
        model_timeout_seconds: Of one request; a long transcript takes a large model a minute or two.
        inngest_dev: A dev server's address, or 1. Without it, or by 0, requests must be signed with `inngest_signing_key`.
        late_transcript_seconds: How long after a meeting without an agent one may still turn up.
    """

    transcript_ingest_url: Url
    service_key: Secret
    summary_model: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    openai_base_url: Url = "https://api.openai.com/v1"
    openai_api_key: Secret | None = None
    model_timeout_seconds: Annotated[float, Meta(gt=0, le=600)] = 120.0
    inngest_dev: InngestDev = InngestDev()
    inngest_signing_key: Secret | None = None
    late_transcript_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 600
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8105

    def __post_init__(self) -> None:
        if not self.inngest_dev and self.inngest_signing_key is None:
            raise ValueError("INNGEST_SIGNING_KEY: is needed, or INNGEST_DEV for a dev server")

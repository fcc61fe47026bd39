"""The example of what comes after a meeting, as a part of the stack: it is ready once its functions are registered."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import httpx

from meetai_local.part import Kind, Part
from meetai_local.servers.http_ready import PROBE_SECONDS
from meetai_local.settings import StackSettings

NAME = "post-meeting"


def post_meeting(settings: StackSettings, client_environment: Mapping[str, str], after: tuple[str, ...]) -> Part:
    """`deploy/examples/post_meeting`, with a model where the agent has one: `SUMMARY_MODEL` and the OpenAI settings."""
    url = f"http://127.0.0.1:{settings.ports.post_meeting}"
    needs = ("TRANSCRIPT_INGEST_URL", "SERVICE_KEY", "INNGEST_DEV", "INNGEST_BASE_URL", "INNGEST_SIGNING_KEY")
    return Part(
        name=NAME,
        kind=Kind.SERVICE,
        folder=settings.root / "services" / NAME,
        command=(sys.executable, "-m", "meetai_post_meeting"),
        environment={
            **{need: client_environment[need] for need in needs},
            "HOST": "127.0.0.1",
            "PORT": str(settings.ports.post_meeting),
            **settings.summary_environment,
        },
        ready=_registered(f"{url}/api/inngest"),
        after=after,
        shown_address=url,
    )


def _registered(url: str) -> Callable[[], str | None]:
    """A PUT makes the SDK register its functions with the Inngest that it is set up for."""

    def ready() -> str | None:
        try:
            response = httpx.put(url, timeout=PROBE_SECONDS, trust_env=False)
        except httpx.HTTPError as error:
            return f"PUT {url}: {error}"
        return None if response.is_success else f"PUT {url}: {response.status_code} {response.text[:200]}"

    return ready

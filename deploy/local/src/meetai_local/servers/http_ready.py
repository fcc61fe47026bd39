"""The readiness question that most parts answer over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import httpx

PROBE_SECONDS = 2.0


def http_ready(url: str) -> Callable[[], str | None]:
    """A check that is content when a GET of `url` on this machine answers 2xx."""

    def ready() -> str | None:
        try:
            response = httpx.get(url, timeout=PROBE_SECONDS, trust_env=False)  # no proxy stands before 127.0.0.1
        except httpx.HTTPError as error:
            return f"GET {url}: {error}"
        return None if response.is_success else f"GET {url}: {response.status_code} {response.text[:200]}"

    return ready

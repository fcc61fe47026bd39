"""`/livez` and `/readyz`: is the process alive, and should it be sent work.

Owns the two routes. `/livez` must never touch a dependency: a restart doesn't mend Postgres.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal, get_args

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import Gauge

from meetai_contracts.api import Health

CHECK_TIMEOUT_SECONDS: Final = 2.0
"""Below the 3 s that kubelets and load balancers usually allow a probe."""

ReadinessCheck = Callable[[], Awaitable[str | None]]
"""Returns when the dependency can do its work, perhaps with a warning in words. Raises `NotReadyError` with the reason."""


State = Literal["ok", "unfit", "away"]
"""What a check finds: fine; something that answers and can't do its work (`NotReadyError`); no answer."""


class NotReadyError(Exception):
    """A dependency can't do its work; the message says why, without addresses or credentials."""


def health_routes(checks: Mapping[str, ReadinessCheck], found: Gauge) -> list[HTTPRouteHandler]:
    """The two routes; `checks` name each dependency that readiness asks, all at once. `found` keeps the last answer, by check and state."""

    @get("/livez", summary="Is the process alive?", tags=["operations"])
    async def livez() -> Health:
        return Health(status="ok")

    @get("/readyz", summary="Should it be sent work?", tags=["operations"])
    async def readyz() -> Response[Health]:
        outcomes = await asyncio.gather(*(_outcome(check) for check in checks.values()))
        for name, (state, _) in zip(checks, outcomes, strict=True):
            for each in get_args(State):
                found.labels(name, each).set(each == state)
        results = {name: words for name, (_, words) in zip(checks, outcomes, strict=True)}
        ready = all(state == "ok" for state, _ in outcomes)
        health = Health(status="ok" if ready else "unavailable", checks=results)
        return Response(health, status_code=200 if ready else 503, headers={"Cache-Control": "no-store"})

    return [livez, readyz]


async def _outcome(check: ReadinessCheck) -> tuple[State, str]:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            warning = await check()
    except NotReadyError as error:
        return "unfit", str(error)
    except TimeoutError:
        return "away", f"no answer within {CHECK_TIMEOUT_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a driver raises, the dependency isn't ready
        return "away", type(error).__name__
    return "ok", f"ok, but {warning}" if warning else "ok"

"""The loop that forgets what is old. Owns when; every replica may, they share the work. Must not know what is removed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from meetai_webhook_bridge.domain.errors import StoreAwayError
from meetai_webhook_bridge.ports import Retention

EXPIRY_SECONDS: Final = 3_600.0
RETRY_SECONDS: Final = 60.0
BREATH_SECONDS: Final = 0.1
"""Between batches, so that webhooks are never kept waiting by forgetting."""

log = structlog.get_logger()


async def expire_for_ever(
    retention: Retention,
    *,
    keep: timedelta,
    now: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Forget until cancelled."""
    while True:
        removed = 0
        try:
            while batch := await retention.expire(now() - keep):
                removed += batch
                await sleep(BREATH_SECONDS)
        except StoreAwayError as error:
            log.warning("expiry_postponed", reason=str(error), removed=removed)
            await sleep(RETRY_SECONDS)
            continue
        if removed:
            log.info("rows_expired", removed=removed)
        await sleep(EXPIRY_SECONDS)

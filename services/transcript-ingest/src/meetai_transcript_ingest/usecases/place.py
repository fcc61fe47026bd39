"""Lines that have no position in their meeting's order of commits are given one, as long as there may be any."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from meetai_servicekit.patience import Patience
from meetai_transcript_ingest.ports import Upgrade

PLACE_INTERVAL_SECONDS: Final = 30.0
"""For as long may the live tail be behind for what a replica of the version before stores. A round over the 400 partitions of a
year takes about 0.1 s."""

log = structlog.get_logger()


async def keep_lines_placed(upgrade: Upgrade, *, patience: Patience, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Look again and again, until cancelled."""
    while True:
        placed = await patience.insist("place lines", upgrade.place_lines)
        if placed:
            log.info("lines_placed", lines=placed)
        await sleep(PLACE_INTERVAL_SECONDS)

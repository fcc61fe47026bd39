"""Deliver events again, and say in the log who asked for it."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from meetai_contracts.api import LedgerEntry
from meetai_contracts.ledger import Replayed, ReplayRequest
from meetai_webhook_bridge.domain.errors import RejectError
from meetai_webhook_bridge.ports import Ledger

log = structlog.get_logger()


class BadCursorError(RejectError):
    """Not `next` of an answer."""


class ReplayEvents:
    """Puts events back on their way."""

    def __init__(self, ledger: Ledger, *, wake_relay: Callable[[], None]) -> None:
        self.ledger = ledger
        self._wake_relay = wake_relay

    async def one(self, event_id: str, *, actor: str) -> LedgerEntry:
        """Replay one. Raises what `Ledger.replay` does."""
        entry = await self.ledger.replay(event_id)
        log.info("event_replayed", event_id=event_id, actor=actor)
        self._wake_relay()
        return entry

    async def many(self, wanted: ReplayRequest, *, actor: str) -> Replayed:
        """Replay a page of those that are wanted.

        Raises:
            BadCursorError: the cursor is none of ours.
            StoreAwayError: nothing was replayed.
        """
        replayed = await self.ledger.replay_many(wanted, position(wanted.cursor))
        log.info("events_replayed", events=replayed.replayed, actor=actor)
        self._wake_relay()
        return replayed


def position(cursor: str | None) -> int | None:
    """Where a cursor points to.

    Raises:
        BadCursorError: it is none of ours.
    """
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 20 and int(cursor) < 2**63):
        raise BadCursorError("must be `next` of a page of this list")
    return int(cursor)

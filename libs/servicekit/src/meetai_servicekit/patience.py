"""Try again until it works: for work that nobody waits for, and that must not be given up.

Owns the attempts, and the error that asks for one. Must not know what is tried.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import structlog

from meetai_servicekit.backoff import Backoff

T = TypeVar("T")

log = structlog.get_logger()


class TryLaterError(Exception):
    """Retry: something outside can't answer now. Nothing is lost; hold what is in hand and try again.

    A message holds ids, counts and error codes, never data: it is logged.
    """


class CountsPostponed(Protocol):
    """Who counts failures."""

    def postponed(self, what: str) -> None:
        """Something failed that will be tried again."""


class Patience:
    """Tries again until it works, as long as the error says that it may.

    Args:
        backoff: How long to wait in between.
        sleep: Waits that many seconds.
        random: Gives [0, 1).
        observer: Is told of every failure.
    """

    def __init__(
        self,
        backoff: Backoff,
        *,
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
        observer: CountsPostponed,
    ) -> None:
        self._backoff = backoff
        self._sleep = sleep
        self._random = random
        self._observer = observer

    async def insist(self, what: str, attempt_once: Callable[[], Awaitable[T]]) -> T:
        """Do it, however often it has to be tried."""
        attempt = 0
        while True:
            try:
                return await attempt_once()
            except TryLaterError as error:
                attempt += 1
                self._observer.postponed(what)
                log.warning("work_postponed", what=what, attempt=attempt, cause=str(error))
            await self._sleep(self._backoff.wait_seconds(attempt, self._random))

"""How often somebody may ask."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from meetai_token.domain.errors import TokenServiceError

WINDOW_SECONDS: Final = 60
"""Quotas are by the minute, counted over a window that slides."""


class Quota(Struct, frozen=True):
    """So many requests a minute for each subject of a kind.

    Attributes:
        name: The kind: `key`, `person` or `address`.
    """

    name: str
    per_minute: int


class Quotas(Struct, frozen=True):
    """For service keys, for people, and for addresses that no service key speaks for."""

    key: Quota
    person: Quota
    address: Quota


class TooManyRequestsError(TokenServiceError):
    """A quota is used up.

    Attributes:
        wait_seconds: When there is room for another request, at least 1.
    """

    def __init__(self, quota: Quota, wait_seconds: int) -> None:
        super().__init__(f"more than {quota.per_minute} requests a minute")
        self.quota = quota
        self.wait_seconds = wait_seconds

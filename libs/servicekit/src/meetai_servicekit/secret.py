"""Values that must not be shown: keys, and addresses that hold a password."""

from __future__ import annotations

from typing import ClassVar, Final
from urllib.parse import urlsplit

MIN_SIGNING_CHARACTERS: Final = 32
"""HS256 needs a key of 256 bits (RFC 7518, section 3.2); livekit-server asks for the same length."""


class Secret:
    """Text that is given out by `reveal()` alone; repr, str and formatting show that it is set, not what it is."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def parse_setting(cls, raw: str) -> Secret:
        """Read a secret from the environment."""
        return cls(raw)

    def reveal(self) -> str:
        """The value itself, for the one line that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)


class SigningSecret(Secret):
    """A secret that is long enough to sign with."""

    __slots__ = ()

    @classmethod
    def parse_setting(cls, raw: str) -> SigningSecret:
        """Read the secret.

        Raises:
            ValueError: too short.
        """
        if len(raw) < MIN_SIGNING_CHARACTERS:
            raise ValueError(f"must be at least {MIN_SIGNING_CHARACTERS} characters")
        return cls(raw)


class MoreKeys(tuple[tuple[str, Secret], ...]):
    """Key pairs that are believed beside the first, so that a key can be changed: `key:secret`, separated by commas."""

    __slots__ = ()

    @classmethod
    def parse_setting(cls, raw: str) -> MoreKeys:
        """Read the pairs.

        Raises:
            ValueError: names the pair by its position, never by its text.
        """
        pairs: list[tuple[str, Secret]] = []
        for position, entry in enumerate(raw.split(","), 1):
            api_key, _, secret = entry.strip().partition(":")
            if not api_key or not secret.strip():
                raise ValueError(f"entry {position} must be key:secret")
            pairs.append((api_key.strip(), Secret(secret.strip())))
        return cls(pairs)


class StoreUrl(Secret):
    """The address of a store; it may hold a password."""

    __slots__ = ()
    schemes: ClassVar[tuple[str, ...]]

    @classmethod
    def parse_setting(cls, raw: str) -> StoreUrl:
        """Read the URL.

        Raises:
            ValueError: not a URL of one of `schemes`.
        """
        try:
            parts = urlsplit(raw)
            _ = parts.port
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in cls.schemes or not (parts.netloc or parts.path):
            raise ValueError(f"must be a URL that starts with {' or '.join(f'{scheme}://' for scheme in cls.schemes)}")
        return cls(raw)


class PostgresUrl(StoreUrl):
    """`postgresql://user:password@host:port/database`."""

    __slots__ = ()
    schemes = ("postgresql",)


class RedisUrl(StoreUrl):
    """`redis://user:password@host:port/0`, or `rediss://` for TLS."""

    __slots__ = ()
    schemes = ("redis", "rediss")

    @classmethod
    def parse_setting(cls, raw: str) -> RedisUrl:
        """Read the URL.

        Raises:
            ValueError: not a URL of one of `schemes`, or its database isn't a number: redis-py would take the first one instead.
        """
        super().parse_setting(raw)
        database = urlsplit(raw).path.strip("/")
        if database and not (database.isascii() and database.isdecimal()):
            raise ValueError("must end in the number of a database, as in redis://host:6379/0")
        return cls(raw)

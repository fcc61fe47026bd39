"""A value that must not be shown."""

from __future__ import annotations


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

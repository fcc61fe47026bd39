"""A room's metadata, and whether it is any good."""

from __future__ import annotations

from meetai_contracts.codec import ContractError
from meetai_contracts.room import RoomMetadata, parse_room_metadata


def read_metadata(raw: str) -> tuple[RoomMetadata | None, str]:
    """A room's metadata, and `ok` or what is wrong with it in words."""
    try:
        return parse_room_metadata(raw), "ok"
    except ContractError as error:
        return None, f"invalid: {error}"

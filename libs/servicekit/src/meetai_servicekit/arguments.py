"""What the services' commands read from their arguments alike."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from meetai_contracts.identifiers import check_id


def positive_number(text: str) -> int:
    """Read a whole number of at least 1.

    Raises:
        argparse.ArgumentTypeError: says what it must be.
    """
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a number of at least 1")
    return int(text)


def identifier(text: str) -> str:
    """Read an id, or a name of ours.

    Raises:
        argparse.ArgumentTypeError: says what it must be.
    """
    try:
        return check_id(text, "it")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def instant(text: str) -> datetime:
    """Read a time, ISO 8601; UTC where it doesn't say.

    Raises:
        argparse.ArgumentTypeError: says what it must be.
    """
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be ISO 8601, as in 2026-11-23T09:00Z") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)

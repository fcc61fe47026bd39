"""What one process of the local stack is, as data.

Owns the shape only: `services.py` and `servers/` fill it in, `running.py` runs it. Must not start anything.
"""

from __future__ import annotations

import enum
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

LONGEST_STOP_SECONDS = 110.0
"""What the agent may take when it is told to end with meetings on: the last words are recognised and the last lines flushed (up to
85 s, ADR 0042) within its 90 s to close, beside 1 s of drain and 10 s for open requests."""


class Kind(enum.IntEnum):
    """Servers start first and stop last; a crashed service is started again, a crashed server ends the stack."""

    SERVER = 0
    SERVICE = 1


class Part(Struct, frozen=True, kw_only=True):
    """One process of the stack.

    Attributes:
        environment: Added to the starter's own environment.
        user: The account to run as when the starter is root; None keeps root.
        lay_out: Makes folders and configuration files. Quick, and safe to run again after a kill at any point.
        before: Commands run to completion first, in order, with the part's own environment, user and log.
        ready: Asks once, in at most 3 s, whether the part serves: None if so, else why not.
        after: Names of the parts that must be ready before this one starts.
        stop_signal: What ends it in good order; after `stop_seconds` SIGKILL follows.
        shown_address: For the summary a person reads.
    """

    name: str
    kind: Kind
    command: tuple[str, ...]
    ready: Callable[[], str | None]
    environment: Mapping[str, str] = {}
    folder: Path
    user: str | None = None
    lay_out: Callable[[], None] | None = None
    before: tuple[tuple[str, ...], ...] = ()
    before_seconds: float = 60.0
    ready_seconds: float = 30.0
    after: tuple[str, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    shown_address: str = ""

"""What a person sees while the stack starts and runs: a line when something happens, a moving one while it takes long.

Owns the look. Works the same without a terminal, where the moving line becomes a new line every ten seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TextIO

TERMINAL_SECONDS = 0.2
PLAIN_SECONDS = 10.0


class Console:
    """Prints to a text stream; None prints nothing, for tests."""

    def __init__(self, out: TextIO | None = sys.stdout) -> None:
        """Take where to print."""
        self._out = out
        self._is_terminal = out is not None and out.isatty()

    def line(self, text: str) -> None:
        """Print a line."""
        self._print(f"{text}\n")

    def event(self, part: str, text: str) -> None:
        """Print what happened to one part, aligned with the others."""
        self.line(f"  {part:<18} {text}")

    @asynccontextmanager
    async def moving(self, part: str, text: Callable[[], str]) -> AsyncIterator[None]:
        """Show, while the body runs, that it still does, with the time it has taken."""
        started = time.monotonic()

        async def show() -> None:
            while True:
                shown = f"{text()} ({time.monotonic() - started:.0f} s)"
                if self._is_terminal:
                    self._print(f"\r\x1b[K  {part:<18} {shown}")
                else:
                    self.event(part, shown)
                await asyncio.sleep(TERMINAL_SECONDS if self._is_terminal else PLAIN_SECONDS)

        shower = asyncio.create_task(show(), name=f"show {part}")
        try:
            yield
        finally:
            shower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await shower
            if self._is_terminal:
                self._print("\r\x1b[K")

    def _print(self, text: str) -> None:
        if self._out is None:
            return
        with contextlib.suppress(OSError, ValueError):  # a closed terminal must not keep the stack from stopping
            self._out.write(text)
            self._out.flush()

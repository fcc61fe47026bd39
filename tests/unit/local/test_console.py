"""What a person sees while something takes long."""

from __future__ import annotations

import asyncio
import io
import re

import pytest

from meetai_local import console as console_module
from meetai_local.console import Console


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def _shown(out: io.StringIO, monkeypatch: pytest.MonkeyPatch, *, lines: int) -> str:
    monkeypatch.setattr(console_module, "PLAIN_SECONDS", 0.01)
    monkeypatch.setattr(console_module, "TERMINAL_SECONDS", 0.01)
    async with asyncio.timeout(10), Console(out).moving("livekit", lambda: "building"):
        while out.getvalue().count("building") < lines:  # noqa: ASYNC110  # a text stream has no event
            await asyncio.sleep(0.005)
    return out.getvalue()


async def test_progress_is_a_line_each_time_when_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log file shows that it moves."""
    shown = await _shown(io.StringIO(), monkeypatch, lines=3)
    for line in shown.splitlines()[:3]:
        assert re.fullmatch(r"  livekit {12}building \(\d+ s\)", line)


async def test_progress_rewrites_its_line_when_there_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line moves, and is gone at the end."""
    shown = await _shown(_Terminal(), monkeypatch, lines=3)
    assert "\n" not in shown
    assert shown.endswith("\r\x1b[K")

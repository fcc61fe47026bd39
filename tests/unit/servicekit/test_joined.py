"""One turn, one write; nothing is lost or sent out of turn when a connection closes."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from meetai_servicekit.joined import JoinedWrites


class Transport:
    def __init__(self) -> None:
        self.done: list[Any] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        self.done.append("closed")

    def abort(self) -> None:
        self.closing = True
        self.done.append("aborted")


def joined() -> tuple[Transport, JoinedWrites]:
    real = Transport()
    return real, JoinedWrites(cast("asyncio.Transport", real), asyncio.get_running_loop())


async def turn() -> None:
    await asyncio.sleep(0)


async def test_writes_are_one_when_they_are_of_one_turn() -> None:
    """And those of the next turn are another, so that a stream's head doesn't wait for its first event."""
    real, transport = joined()
    transport.write(b"head ")
    transport.write(b"body")
    assert real.done == []
    await turn()
    transport.write(b"more")
    await turn()
    assert real.done == [b"head body", b"more"]


async def test_all_is_written_when_the_connection_closes() -> None:
    """Before it closes, and nothing after."""
    real, transport = joined()
    transport.write(b"last")
    transport.close()
    await turn()
    assert real.done == [b"last", "closed"]


async def test_nothing_is_written_when_the_connection_was_aborted() -> None:
    """Its own methods are the transport's."""
    real, transport = joined()
    transport.write(b"too late")
    transport.abort()
    await turn()
    assert (real.done, transport.is_closing()) == (["aborted"], True)

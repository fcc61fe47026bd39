"""Ports that a test's servers may listen on: given in turn, from a range that no other process of the tests gives from.

They are below those that the kernel picks for outgoing connections (32,768 on Linux), so that none of these takes one between its
choice and its use, nor while a server that had it is down. The range is the process's until it ends, in every checkout on this machine.
"""

from __future__ import annotations

import functools
import itertools
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from meetai_local.settings import Ports

FIRST: Final = 20_000
RANGE: Final = 600
RANGES: Final = 20
"""So many processes may run tests at once."""


def free_port() -> int:
    """A port on 127.0.0.1 that nothing uses at this moment, TCP and UDP; it isn't given again before all others of the range were.

    Raises:
        RuntimeError: Every port of the range is in use, or every range.
    """
    for port in itertools.islice(_turns(), RANGE):
        if _is_free(port):
            return port
    raise RuntimeError(f"each of the {RANGE} ports of this process's range is in use")


def free_ports() -> Ports:
    """Ports for a whole stack."""
    return Ports(**{name: free_port() for name in Ports.__struct_fields__})


@functools.cache
def _turns() -> Iterator[int]:
    first = _first_of_our_range()
    return itertools.cycle(range(first, first + RANGE))


@functools.cache
def _lock(number: int) -> FileLock:
    """Kept for the process's life: the kernel releases the lock when it ends, however it ends."""
    folder = Path(tempfile.gettempdir()) / "meetai-test-ports"
    folder.mkdir(exist_ok=True)
    return FileLock(folder / str(number))


def _first_of_our_range() -> int:
    for number in range(RANGES):
        try:
            _lock(number).acquire(blocking=False)
        except Timeout:
            continue
        return FIRST + number * RANGE
    raise RuntimeError(f"{RANGES} processes run tests already: see meetai-test-ports in the folder for temporary files")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with closing(socket.socket(socket.AF_INET, kind)) as probe:
            if kind is socket.SOCK_STREAM:  # as servers do: connections that linger after a stop are no hindrance
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True

"""A load of so many entries a second, and how long each takes from XADD to its COMMIT.

Speaks to Redis in bytes made beforehand, so that measuring takes little of the machine that is measured.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import redis
from tests.bench.ingest.meetings import Said
from tests.bench.ingest.ours import Worker
from tests.bench.ingest.worker import Order
from tests.bench.servers import Servers

from meetai_contracts.transcript import BATCH_FIELD, stream_key

TICK_SECONDS = 0.001
READ_BYTES = 64 * 1024


def commit_latencies_ms(servers: Servers, replica: Worker, said: Said, *, entries_per_second: float) -> list[float]:
    """Milliseconds from sending an entry to its COMMIT, in order of size."""
    with redis.Redis.from_url(servers.redis_url) as client:
        client.delete(stream_key(0))
    replica.begin(Order(1, len(said.entries)))
    sent = _Sender(servers, said)
    sent.run(entries_per_second)
    done = replica.finish()
    return sorted([(done.committed[entry_id] - at) * 1000 for entry_id, at in sent.times()])


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value that so many percent don't exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class _Sender:
    def __init__(self, servers: Servers, said: Said) -> None:
        url = urlsplit(servers.redis_url)
        self._socket = socket.create_connection((url.hostname or "", url.port or 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._commands = [_command("XADD", stream_key(0), "*", BATCH_FIELD, entry) for _, entry in said.entries]
        self._sent_at: list[float] = []
        self._replies = b""
        self._socket.sendall(_command("AUTH", unquote(url.password or "")))
        if self._socket.recv(READ_BYTES) != b"+OK\r\n":
            raise RuntimeError("Redis refuses the password")

    def run(self, entries_per_second: float) -> None:
        """Send everything, evenly, whatever the answers take."""
        replies = threading.Thread(target=self._receive, name="replies")
        replies.start()
        started = time.monotonic()
        sent = 0
        while sent < len(self._commands):
            time.sleep(TICK_SECONDS)
            due = min(len(self._commands), int((time.monotonic() - started) * entries_per_second))
            if due > sent:
                self._sent_at += [time.monotonic()] * (due - sent)
                self._socket.sendall(b"".join(self._commands[sent:due]))
                sent = due
        replies.join(timeout=30)
        self._socket.close()

    def times(self) -> list[tuple[str, float]]:
        """Each entry's id, and when it was sent."""
        ids = [line.decode() for line in self._replies.split(b"\r\n")[1::2]]
        return list(zip(ids, self._sent_at, strict=True))

    def _receive(self) -> None:
        blocks: list[bytes] = []
        missing = 2 * len(self._commands)  # a reply is two lines: its length, the id
        while missing > 0 and (block := self._socket.recv(READ_BYTES)):
            missing -= block.count(b"\n")
            blocks.append(block)
        self._replies = b"".join(blocks)


def _command(*words: str | bytes) -> bytes:
    """A command as RESP has it: an array of bulk strings."""
    raw = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(raw) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in raw])

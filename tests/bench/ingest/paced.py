"""A load of so many entries a second, and how long each takes from XADD to its COMMIT.

Speaks to Redis in bytes made beforehand, so that measuring takes little of the machine that is measured.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import redis
from tests.bench.ingest.meetings import Said
from tests.bench.ingest.ours import Worker
from tests.bench.ingest.worker import Order
from tests.bench.servers import Servers
from tests.waiting import wait_until

from meetai_contracts.transcript import BATCH_FIELD, stream_key

TICK_SECONDS = 0.001
ANSWER_SECONDS = 30
READ_BYTES = 64 * 1024


def commit_latencies_ms(servers: Servers, replica: Worker, said: Said, *, entries_per_second: float) -> list[float]:
    """Milliseconds from when an entry is due to be sent to its COMMIT, in order of size."""
    sent = _Sender(servers, said)
    with redis.Redis.from_url(servers.redis_url) as client:
        client.delete(stream_key(0))
        replica.begin(Order(1, len(said.entries)))
        _wait_for_group(client)
    sent.run(entries_per_second)
    done = replica.finish()
    return sorted([(done.committed[entry_id] - at) * 1000 for entry_id, at in sent.times()])


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value that so many percent don't exceed."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _wait_for_group(client: redis.Redis) -> None:
    """Return when the replica reads: what piles up while a process starts is no load."""
    wait_until(lambda: client.exists(stream_key(0)) and client.xinfo_groups(stream_key(0)), seconds=ANSWER_SECONDS)


class _Sender:
    def __init__(self, servers: Servers, said: Said) -> None:
        url = urlsplit(servers.redis_url)
        self._socket = socket.create_connection((url.hostname or "", url.port or 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._commands = [_command("XADD", stream_key(0), "*", BATCH_FIELD, entry) for _, entry in said.entries]
        self._due_at: list[float] = []
        self._replies: list[bytes] = []
        self._missing = 2 * len(self._commands)  # a reply is two lines: its length, the id
        self._socket.sendall(_command("AUTH", unquote(url.password or "")))
        if self._socket.recv(READ_BYTES) != b"+OK\r\n":
            raise RuntimeError("Redis refuses the password")

    def run(self, entries_per_second: float) -> None:
        """Send what is due at every tick, whatever the answers take; who is late catches up, and the lateness counts."""
        started = time.monotonic()
        tick = sent = 0
        while sent < len(self._commands):
            tick += 1
            due_at = started + tick * TICK_SECONDS
            time.sleep(max(0.0, due_at - time.monotonic()))
            due = min(len(self._commands), int(tick * TICK_SECONDS * entries_per_second))
            if due > sent:
                self._due_at += [due_at] * (due - sent)
                self._socket.sendall(b"".join(self._commands[sent:due]))
                sent = due
            self._take_replies(0)
        while self._missing:
            self._take_replies(ANSWER_SECONDS)
        self._socket.close()

    def times(self) -> list[tuple[str, float]]:
        """Each entry's id, and when it was due to be sent."""
        ids = [line.decode() for line in b"".join(self._replies).split(b"\r\n")[1::2]]
        return list(zip(ids, self._due_at, strict=True))

    def _take_replies(self, wait_seconds: float) -> None:
        readable, _, _ = select.select([self._socket], [], [], wait_seconds)
        block = self._socket.recv(READ_BYTES) if readable else b""
        if not readable and not wait_seconds:
            return
        if not block:
            raise RuntimeError("Redis answers no more")
        self._missing -= block.count(b"\n")
        self._replies.append(block)


def _command(*words: str | bytes) -> bytes:
    """A command as RESP has it: an array of bulk strings."""
    raw = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(raw) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in raw])

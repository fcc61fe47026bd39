"""`EntryStream` on Redis Streams, 6.2 or newer.

Owns the commands and what their errors mean. Must not decide when an entry is done, nor retry: redis-py's own retries are
off, since the caller has to know what failed.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from meetai_servicekit.patience import TryLaterError
from meetai_servicekit.streams.ports import Arrival, GroupMissingError, Reclaimed, StreamStatus
from meetai_servicekit.streams.redis_server import check_server

log = structlog.get_logger()

READ_COUNT: Final = 250
"""Entries a read. With reads overlapping writes this reached 90 % of a raw COPY (FACTS, PostgreSQL)."""
READ_BYTES: Final = 8 * 1024 * 1024
"""What a read may bring: after large entries fewer are asked for, so that 250 of the largest (64 MB) aren't held again."""
SET_ENTRIES: Final = 1_000
"""Entries that are read together when there are so many: what a transaction of transcript-ingest costs beside its rows (six round
trips, the rows of producers and meetings, the flush of the log) is then paid for 10,000 lines rather than 2,500 (84k → 119k lines/s
over one connection)."""
BLOCK_MS: Final = 1_000
"""How long a read waits for an entry. It bounds how late a shutdown is noticed; a command a second is nothing to Redis."""
SOCKET_TIMEOUT_SECONDS: Final = 5.0
"""Longer than a read may block; otherwise an idle stream looks like a dead server (FACTS, Redis)."""
CONNECT_TIMEOUT_SECONDS: Final = 2.0

RECLAIM_IDLE_MS: Final = 15_000
"""Quiet for this long means dead: three times the interval at which a living consumer confirms what it holds
(`consumer.KEEP_INTERVAL_SECONDS`), and longer than the longest pause that PostgreSQL's deadlock stalls made (7 s, FACTS)."""
RETENTION_MS: Final = 3_600_000
"""Entries stay for an hour even when all are done with them (FACTS, Redis: how to trim)."""
PRUNE_IDLE_MS: Final = 3_600_000
"""A living consumer reads every second; before Redis 7.2 only a read that found something counts, hence the long time."""
MAX_COUNTED_LAG: Final = 1_000
"""Where the server can't tell the lag (6.2, or after XDEL), entries are counted up to here."""

_GONE: Final = ("NOGROUP", "UNBLOCKED", "no such key")

_PRUNE: Final = """
local pruned = 0
for _, fields in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end
  if consumer.pending == 0 and consumer.idle > tonumber(ARGV[2]) and consumer.name ~= ARGV[3] then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    pruned = pruned + 1
  end
end
return pruned
"""
"""One script, because a consumer that comes back between the look and the deletion would lose what it was just given."""


def create_client(url: str) -> Redis:
    """A client that isn't connected yet. RESP2, whose replies all servers we support give alike."""
    return Redis.from_url(
        url,
        protocol=2,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
    )


class RedisEntryStream:
    """One stream, read as one consumer of a group.

    Args:
        client: From `create_client`; several streams may share it.
        key: Which stream.
        group: Its name says who reads, e.g. the service.
        consumer: Unique to this process: a name that comes back would inherit what its namesake left unfinished.
        set_entries: As many as a read brings at most, in rounds of `READ_COUNT`.
    """

    def __init__(self, client: Redis, *, key: str, group: str, consumer: str, set_entries: int = SET_ENTRIES) -> None:
        self._redis = client
        self._key = key
        self._group = group
        self._consumer = consumer
        self._set_entries = set_entries
        self._count = READ_COUNT
        self._read_bytes = 0
        self._has_more = False

    @property
    def name(self) -> str:
        """See `EntryStream.name`."""
        return self._key

    @property
    def has_more(self) -> bool:
        """See `EntryStream.has_more`."""
        return self._has_more

    async def join(self) -> None:
        """See `EntryStream.join`. Looks first: a full server refuses to create even a group that exists (FACTS, Redis)."""
        with redis_errors_translated():
            if may_lose := await check_server(self._redis):
                log.warning("redis_may_lose_entries", stream=self._key, how=may_lose)
            try:
                groups = await self._groups()
            except ResponseError as error:
                if not _is_gone(error):
                    raise
                groups = []
            if any(group["name"] == self._group.encode() for group in groups):
                return
            try:
                await self._redis.xgroup_create(self._key, self._group, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):  # another replica was faster
                    raise

    async def read(self, *, wait: bool = True) -> tuple[Arrival, ...]:
        """See `EntryStream.read`. A backlog is read in several rounds, each as small as READ_COUNT and READ_BYTES say."""
        with redis_errors_translated():
            asked = self._count
            found = arrivals = await self._read_round(block_ms=BLOCK_MS if wait else None)
            size = self._read_bytes
            while len(arrivals) == asked and len(found) < self._set_entries and size + self._read_bytes <= READ_BYTES:
                asked = self._count
                try:
                    arrivals = await self._read_round(block_ms=None)
                except (RedisError, OSError):  # the next read meets it again; what was given before is in hand
                    break
                found += arrivals
                size += self._read_bytes
            self._has_more = len(arrivals) == asked
        return found

    async def reclaim(self, in_hand: Collection[str]) -> Reclaimed:
        """See `EntryStream.reclaim`. XPENDING and XCLAIM rather than XAUTOCLAIM, so that what is in hand is left alone."""
        with redis_errors_translated():
            pending: Any = await self._redis.xpending_range(
                self._key, self._group, min="-", max="+", count=self._count, idle=RECLAIM_IDLE_MS
            )
            idle = [entry["message_id"] for entry in pending if entry["message_id"].decode() not in in_hand]
            if not idle:
                return Reclaimed()
            reply: Any = await self._redis.xclaim(self._key, self._group, self._consumer, RECLAIM_IDLE_MS, idle)
            arrivals = self._arrivals(reply)
            claimed = {arrival.entry_id for arrival in arrivals}
            unclaimed = [entry_id for raw in idle if (entry_id := raw.decode()) not in claimed]
            return Reclaimed(arrivals, tuple(await self._not_on_stream(unclaimed)))

    async def keep(self, entry_ids: Sequence[str]) -> None:
        """See `EntryStream.keep`. JUSTID: a delivery count that an outage raises would say nothing (FACTS, Redis)."""
        with redis_errors_translated():
            await self._redis.xclaim(self._key, self._group, self._consumer, 0, list(entry_ids), justid=True)

    async def acknowledge(self, entry_ids: Sequence[str]) -> None:
        """See `EntryStream.acknowledge`."""
        with redis_errors_translated():
            await self._redis.xack(self._key, self._group, *entry_ids)

    async def trim(self) -> int:
        """See `EntryStream.trim`. Never by length: that drops what nobody has read (FACTS, Redis)."""
        with redis_errors_translated():
            groups = await self._groups()
            if not groups:
                return 0
            seconds, _ = await self._redis.time()
            needed = [(seconds * 1000 - RETENTION_MS, 0)]
            for group in groups:
                needed.append(_id_order(group["last-delivered-id"]))
                if group["pending"]:
                    summary: Any = await self._redis.xpending(self._key, cast("str", group["name"]))
                    if summary["min"] is not None:
                        needed.append(_id_order(summary["min"]))
            ms, sequence = min(needed)
            trimmed: int = await self._redis.xtrim(self._key, minid=f"{ms}-{sequence}", approximate=True)
            return trimmed

    async def prune_consumers(self) -> int:
        """See `EntryStream.prune_consumers`."""
        with redis_errors_translated():
            reply: Any = await self._redis.eval(_PRUNE, 1, self._key, self._group, PRUNE_IDLE_MS, self._consumer)
            return int(reply)

    async def status(self) -> StreamStatus:
        """See `EntryStream.status`."""
        with redis_errors_translated():
            group = next((group for group in await self._groups() if group["name"] == self._group.encode()), None)
            if group is None:
                raise GroupMissingError(f"Redis: {self._key} has no group {self._group}")
            lag = group.get("lag")
            if lag is None:
                lag = await self._counted_lag(group["last-delivered-id"])
            oldest_seconds = 0.0
            if group["pending"]:
                summary: Any = await self._redis.xpending(self._key, self._group)
                seconds, microseconds = await self._redis.time()
                if summary["min"] is not None:
                    oldest_seconds = max(0.0, seconds + microseconds / 1e6 - _id_order(summary["min"])[0] / 1000)
            return StreamStatus(int(lag), int(group["pending"]), oldest_seconds, await self._memory_ratio())

    async def _read_round(self, *, block_ms: int | None) -> tuple[Arrival, ...]:
        reply: Any = await self._redis.xreadgroup(
            self._group, self._consumer, {self._key: ">"}, count=self._count, block=block_ms
        )
        return self._arrivals(reply[0][1]) if reply else ()

    async def _groups(self) -> list[dict[str, Any]]:
        return await self._redis.xinfo_groups(self._key)

    async def _memory_ratio(self) -> float:
        """0 also where a managed Redis doesn't let us ask."""
        try:
            memory: Any = await self._redis.info("memory")
        except ResponseError:
            return 0.0
        limit = int(memory.get("maxmemory", 0))
        return int(memory.get("used_memory", 0)) / limit if limit else 0.0

    async def _counted_lag(self, last_delivered: bytes) -> int:
        after = f"({last_delivered.decode()}"
        return len(cast("list[Any]", await self._redis.xrange(self._key, min=after, count=MAX_COUNTED_LAG)))

    async def _not_on_stream(self, entry_ids: Sequence[str]) -> list[str]:
        """Which of these have left the stream: an entry that is merely another consumer's by now is still on it."""
        return [entry_id for entry_id in entry_ids if not await self._redis.xrange(self._key, entry_id, entry_id)]

    def _arrivals(self, entries: Sequence[tuple[bytes | None, Any]]) -> tuple[Arrival, ...]:
        """Entries as read; one that was trimmed while pending comes without an id or without fields, and is left out."""
        arrivals = tuple(
            [Arrival(self._key, raw.decode(), fields) for raw, fields in entries if raw is not None and fields]
        )
        if arrivals:
            size = sum(len(value) for arrival in arrivals for value in arrival.fields.values())
            self._count = max(1, min(READ_COUNT, READ_BYTES * len(arrivals) // max(size, 1)))
            self._read_bytes = size
        return arrivals


@contextmanager
def redis_errors_translated() -> Generator[None]:
    """What redis-py raises, as the error that says what to do next."""
    try:
        yield
    except ResponseError as error:
        if _is_gone(error):
            raise GroupMissingError("Redis: the stream or its group is gone") from error
        raise TryLaterError(f"Redis: {type(error).__name__} ({str(error).partition(' ')[0]})") from error
    except (RedisError, OSError) as error:  # TimeoutError is an OSError
        raise TryLaterError(f"Redis: {type(error).__name__}") from error


def _is_gone(error: ResponseError) -> bool:
    return any(sign in str(error) for sign in _GONE)


def _id_order(entry_id: bytes) -> tuple[int, int]:
    ms, _, sequence = entry_id.partition(b"-")
    return int(ms), int(sequence)

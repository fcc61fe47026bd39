"""Peer: a consumer as one writes it first. A message a line, a session and a COMMIT a message, through SQLAlchemy's ORM."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from datetime import date, datetime
from typing import Any

import redis
from redis.asyncio import Redis
from sqlalchemy import BigInteger, Boolean, Date, DateTime, Double, Text, func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tests.bench.ingest.meetings import Said
from tests.bench.servers import Servers

from meetai_contracts.transcript import decode_batch
from meetai_transcript_ingest.domain.producers import producer_day

STREAM, GROUP = "peer:lines", "peer"


class Base(DeclarativeBase):
    pass


class PeerLine(Base):
    """The same columns and the same indexes, in a table that isn't divided."""

    __tablename__ = "peer_lines"

    producer_started: Mapped[date] = mapped_column(Date, primary_key=True)
    producer_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    commit_position: Mapped[int] = mapped_column(BigInteger)
    started_ms: Mapped[int] = mapped_column(BigInteger)
    ended_ms: Mapped[int] = mapped_column(BigInteger)
    committed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    confidence: Mapped[float | None] = mapped_column(Double)
    interrupted: Mapped[bool] = mapped_column(Boolean)
    speaker_kind: Mapped[str] = mapped_column(Text)
    meeting_id: Mapped[str] = mapped_column(Text)
    room_sid: Mapped[str] = mapped_column(Text)
    speaker_identity: Mapped[str] = mapped_column(Text)
    speaker_name: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(Text)


def per_message_rate(servers: Servers, said: Said, lines: int) -> float:
    """Lines a second, from a prefilled stream; asserts that all of them are stored."""
    _prefill(servers, said, lines)
    return asyncio.run(_consume(servers, lines))


def _prefill(servers: Servers, said: Said, lines: int) -> None:
    with redis.Redis.from_url(servers.redis_url) as client:
        client.delete(STREAM)
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        sent = 0
        for _, entry in said.entries:
            batch = decode_batch(entry)
            for line in batch.lines[: lines - sent]:
                message = {
                    "meeting_id": batch.meeting_id,
                    "room_sid": batch.room_sid,
                    "producer_id": str(line.producer_id),
                    "seq": line.seq,
                    "speaker_identity": line.speaker.identity,
                    "speaker_name": line.speaker.name,
                    "speaker_kind": line.speaker.kind,
                    "text": line.text,
                    "started_ms": line.started_ms,
                    "ended_ms": line.ended_ms,
                    "language": line.language,
                    "confidence": line.confidence,
                    "interrupted": line.interrupted,
                }
                client.xadd(STREAM, {"line": json.dumps(message)})
                sent += 1
            if sent == lines:
                return


async def _consume(servers: Servers, lines: int) -> float:
    engine = create_async_engine(servers.database_url.replace("postgresql://", "postgresql+psycopg://"))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
        for index in ("meeting_id, started_ms, producer_id, seq", "meeting_id, commit_position"):
            await connection.exec_driver_sql(f"CREATE INDEX ON peer_lines ({index})")
    sessions = async_sessionmaker(engine)
    client = Redis.from_url(servers.redis_url)
    started = time.monotonic()
    for position in range(1, lines + 1):
        reply: Any = await client.xreadgroup(GROUP, "peer", {STREAM: ">"}, count=1)
        [(_, [(entry_id, fields)])] = reply
        message = json.loads(fields[b"line"])
        message["producer_id"] = uuid.UUID(message["producer_id"])
        async with sessions() as session:
            session.add(
                PeerLine(**message, producer_started=producer_day(message["producer_id"]), commit_position=position)
            )
            await session.commit()
        await client.xack(STREAM, GROUP, entry_id)
    seconds = time.monotonic() - started
    async with sessions() as session:
        stored = await session.scalar(select(func.count()).select_from(PeerLine))
    assert stored == lines
    await client.aclose()
    await engine.dispose()
    return lines / seconds

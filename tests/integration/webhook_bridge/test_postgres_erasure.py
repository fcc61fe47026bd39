"""Erasing in PostgreSQL: what it reads, what it finds, and what is left when it is cut short."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import psycopg
import pytest
from tests.waiting import wait_until

from meetai_servicekit import postgres
from meetai_webhook_bridge.adapters import postgres_erasure
from meetai_webhook_bridge.adapters.postgres import MAX_WAITING, SCHEMA
from meetai_webhook_bridge.adapters.postgres_erasure import PostgresErasure
from meetai_webhook_bridge.domain.errors import StoreAwayError

DAYS = 20
OTHERS_A_DAY = 1000
STATISTICS_SECONDS = 15

Database = psycopg.Connection[Any]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The service's tables."""
    with psycopg.connect(database_url, autocommit=True, options=f"-c search_path={SCHEMA}") as connection:
        yield connection


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[PostgresErasure]:
    pool = postgres.create_pool(
        database_url, schema=SCHEMA, min_size=1, max_size=2, max_waiting=MAX_WAITING, application="erasure"
    )
    async with pool:
        yield PostgresErasure(pool)


def hold_a_room(database: Database, days_ago: int, name: str = "standup") -> None:
    """A quarter of an hour of it, told, and one webhook within, `EV_<days_ago>`."""
    database.execute(
        "INSERT INTO rooms (sid, name, heard_at, started_at, seen_at, finished_at, told_by)"
        " SELECT %(sid)s, %(name)s, at, at, at + interval '15 minutes', at + interval '15 minutes', %(sid)s"
        " FROM (SELECT now() - make_interval(days => %(days_ago)s) AS at) AS start",
        {"sid": f"RM_{days_ago}", "name": name, "days_ago": days_ago},
    )
    receive(database, f"EV_{days_ago}", {"identity": "maya-jones"}, days_ago=days_ago, room_name=name)


def receive(
    database: Database, webhook_id: str, body: dict[str, Any], *, days_ago: int, room_name: str | None = None
) -> None:
    database.execute(
        "INSERT INTO inbox (id, received_at, event, room_name, body)"
        " VALUES (%s, now() - make_interval(days => %s, mins => -1), 'some', %s, %s)",
        [webhook_id, days_ago, room_name, json.dumps(body)],
    )


def erased(database: Database) -> set[str]:
    """The webhooks that are."""
    return {row[0] for row in database.execute("SELECT id FROM inbox WHERE body ? 'erased'")}


def rows_read(database: Database) -> int:
    """Of the inbox, since its table was made."""
    counts = database.execute(
        "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'inbox'"
    ).fetchone()
    assert counts
    return int(counts[0])


async def test_only_the_hours_of_its_rooms_are_read_when_a_name_is_reused(
    database: Database, database_url: str
) -> None:
    """Not all that lies between the first of them and the last; where they overlap, nothing is read twice."""
    database.execute(
        "INSERT INTO inbox (id, received_at, event, room_name, body)"
        " SELECT 'EV_o' || n, now() - n * interval '1 day' / %(a_day)s, 'some', 'other', '{}'"
        " FROM generate_series(1, %(days)s * %(a_day)s) AS n",
        {"days": DAYS, "a_day": OTHERS_A_DAY},
    )
    for days_ago in (1, DAYS - 1):
        hold_a_room(database, days_ago)
    database.execute(
        "INSERT INTO rooms SELECT sid || '-' || n, name, heard_at, started_at, seen_at FROM rooms, generate_series(1, 9) AS n"
    )
    database.execute("ANALYZE")
    async with opened(database_url) as erasure:
        before = rows_read(database)
        counts = await erasure.erase("standup")
    # A connection tells its statistics when it ends.
    updated = "SELECT FROM pg_stat_user_tables WHERE relname = 'inbox' AND n_tup_upd = 2"
    wait_until(lambda: database.execute(updated).rowcount == 1, seconds=STATISTICS_SECONDS)
    assert counts["webhooks"] == 2
    assert rows_read(database) - before < OTHERS_A_DAY / 2


async def test_what_was_erased_stays_erased_when_erasing_is_cut_short(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a call that is repeated comes further."""
    monkeypatch.setattr(postgres_erasure, "ERASE_SECONDS", 3.0)
    for days_ago in (1, 2, 3):
        hold_a_room(database, days_ago)
    async with opened(database_url) as erasure:
        with database.transaction():
            database.execute("SELECT FROM inbox WHERE id = 'EV_1' FOR UPDATE")
            with pytest.raises(StoreAwayError):
                await erasure.erase("standup")
            assert erased(database) == {"EV_2", "EV_3"}
        assert (await erasure.erase("standup"))["webhooks"] == 1
    assert erased(database) == {"EV_1", "EV_2", "EV_3"}


async def test_a_room_of_tomorrow_is_erased_like_another(database: Database, database_url: str) -> None:
    """The database's clock went back, or another host's took over."""
    hold_a_room(database, -1)
    async with opened(database_url) as erasure:
        assert (await erasure.erase("standup"))["webhooks"] == 1
    assert erased(database) == {"EV_-1"}


@pytest.mark.parametrize("part", ["egressInfo", "ingressInfo"])
async def test_webhooks_are_erased_when_their_room_is_named_within(
    database: Database, database_url: str, part: str
) -> None:
    """LiveKit puts no room beside an egress or ingress; also the event that one became, if it isn't known to be of the meeting."""
    hold_a_room(database, 1)
    for name in ("standup", "other"):
        webhook = {"event": "some", part: {"roomName": name, "error": "rtmp://maya:secret@example.org"}}
        receive(database, f"EV_{name}", webhook, days_ago=1)
        database.execute(
            "INSERT INTO outbox (id, name, source, occurred_at, data) VALUES (%s, 'livekit/some', 'webhook', now(), %s)",
            [name, json.dumps({"meetingId": None, "webhook": webhook})],
        )
    async with opened(database_url) as erasure:
        counts = await erasure.erase("standup")
    assert counts == {"events": 1, "webhooks": 2, "rooms": 0, "unreadable": 0}
    assert erased(database) == {"EV_1", "EV_standup"}
    left = database.execute("SELECT id, state FROM outbox WHERE data::text LIKE '%secret%'").fetchall()
    assert left == [("other", "pending")]


@pytest.mark.parametrize("meeting_id", ["1", "a", 'say "hi"', "back\\slash", "réunion", "q3/planning"])
async def test_unreadable_bytes_are_erased_when_they_hold_the_id_itself(
    database: Database, database_url: str, meeting_id: str
) -> None:
    """Whole, and as JSON writes it; what only has its letters in it can be put on the stream again."""
    event = {"v": 9, "data": {"meetingId": meeting_id}}
    other = {"v": 9, "id": "a1", "data": {"meetingId": f"{meeting_id}-a1", "says": "what a day, 1 of many"}}
    payloads = {
        "msgspec": msgspec.json.encode(event),
        "ascii": json.dumps(event).encode(),
        "fieldless": msgspec.msgpack.encode({b"meeting": meeting_id.encode()}),
        "other": msgspec.json.encode(other),
    }
    for name, payload in payloads.items():
        database.execute("INSERT INTO unreadable_entries (id, payload) VALUES (%s, %s)", [name, payload])
    async with opened(database_url) as erasure:
        assert (await erasure.erase(meeting_id))["unreadable"] == 3
    kept = database.execute("SELECT id, payload FROM unreadable_entries WHERE payload <> ''").fetchall()
    assert kept == [("other", payloads["other"])]

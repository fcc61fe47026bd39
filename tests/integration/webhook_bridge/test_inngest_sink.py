"""Inngest's SDK against the wire format: what counts as delivered, whatever is answered."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from tests.integration.webhook_bridge.inngest_stub import CUT, FAULTS, HOLD, InngestStub
from tests.unit.webhook_bridge.sink_suite import EVENT, SinkSuite

from meetai_servicekit.secret import Secret
from meetai_webhook_bridge.adapters.inngest_events import InngestSink, InngestTarget
from meetai_webhook_bridge.domain.errors import SendError
from meetai_webhook_bridge.usecases.deliver import LEASE_SECONDS

AWAY = "away"
WAYS_TO_FAIL = [*FAULTS, HOLD, AWAY]
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def sink_to(url: str, *, now: datetime = NOW) -> InngestSink:
    target = InngestTarget(dev=True, event_key=None, signing_key=None, api_base_url=url, event_api_base_url=url)
    return InngestSink(target, now=lambda: now)


class StubTarget:
    def __init__(self, stub: InngestStub) -> None:
        self._stub = stub

    @property
    def ids(self) -> list[str]:
        return self._stub.ids

    def fail_once(self) -> None:
        self._stub.faults.append("429")


class TestInngestSink(SinkSuite):
    @pytest.fixture
    def sink(self, inngest: InngestStub) -> InngestSink:
        return sink_to(inngest.url)

    @pytest.fixture
    def target(self, inngest: InngestStub) -> StubTarget:
        return StubTarget(inngest)


async def test_an_event_isnt_sent_when_inngest_returned_no_id_for_it() -> None:
    """Whatever it answers instead, also when it never does or isn't there; and well before the event's lease ends."""
    started = time.monotonic()
    reasons = dict(zip(WAYS_TO_FAIL, await asyncio.gather(*(_reason(way) for way in WAYS_TO_FAIL)), strict=True))
    assert time.monotonic() - started < LEASE_SECONDS
    assert {way for way, reason in reasons.items() if reason is None or not reason.isidentifier()} == set(), reasons


async def test_an_event_is_sent_again_under_its_id_when_the_answer_was_cut_off(inngest: InngestStub) -> None:
    """Inngest runs it once."""
    inngest.faults.append(CUT)
    await sink_to(inngest.url).send(EVENT)
    assert inngest.ids == [EVENT.id, EVENT.id]


async def test_an_event_has_the_time_at_which_it_happened(inngest: InngestStub) -> None:
    """In milliseconds; the data as it is."""
    await sink_to(inngest.url).send(EVENT)
    (taken,) = inngest.taken
    assert taken["ts"] == int(EVENT.occurred_at.timestamp() * 1000)
    assert taken["data"] == EVENT.data


async def test_an_event_isnt_dated_in_the_future_when_clocks_differ(inngest: InngestStub) -> None:
    """Inngest would put the run off until then."""
    now = EVENT.occurred_at - timedelta(minutes=10)
    await sink_to(inngest.url, now=now).send(EVENT)
    assert inngest.taken[0]["ts"] == int(now.timestamp() * 1000)


async def test_the_event_key_is_used_when_there_is_one(inngest: InngestStub) -> None:
    """As in production, where the address may be another one too."""
    target = InngestTarget(
        dev=False,
        event_key=Secret("the-event-key"),
        signing_key=Secret("signkey-test-00"),
        api_base_url=None,
        event_api_base_url=inngest.url,
    )
    await InngestSink(target, now=lambda: NOW).send(EVENT)
    assert inngest.paths == ["/e/the-event-key"]


async def _reason(way: str) -> str | None:
    """Why a send failed when Inngest fails in that way for good; None if it didn't."""
    stub = InngestStub()
    stub.start()
    stub.fault_forever = way
    if way == AWAY:
        stub.stop()
    try:
        await sink_to(stub.url).send(EVENT)
    except SendError as error:
        return error.reason
    finally:
        stub.stop()
    return None

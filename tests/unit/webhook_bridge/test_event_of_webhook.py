"""Which event a webhook becomes, and what may be kept of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol.egress import EgressInfo
from livekit.protocol.ingress import IngressInfo
from msgspec.structs import replace

from meetai_contracts.events import RoomFinished
from meetai_webhook_bridge.domain.delivery import MAX_ATTEMPTS, retry_wait_seconds
from meetai_webhook_bridge.domain.errors import NoEventError
from meetai_webhook_bridge.domain.events import OutboundEvent, event_of
from meetai_webhook_bridge.domain.meetings import GRACE, check_finished, end_event, facts_of, hear
from meetai_webhook_bridge.domain.webhooks import CREDENTIAL_KEYS, Room, Webhook, minimised, storable, webhook_label

CREATED = datetime(2026, 1, 1, 12, 0, 0, 700_000, tzinfo=UTC)
FINISHED = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
ROOM = Room(sid="RM_1", name="standup", created_at=CREATED)
FINISHED_ONLY = frozenset({"room_finished"})

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.sampled_from(["turnPassword", "streamKey", "room", "a\0"]), children)
    ),
    max_leaves=20,
)


def webhook(
    event: str = "room_finished",
    *,
    webhook_id: str = "EV_1",
    room: Room | None = ROOM,
    created_at: datetime = FINISHED,
) -> Webhook:
    return Webhook(id=webhook_id, event=event, created_at=created_at, room=room, body={"id": webhook_id})


def end_of(finished: Webhook) -> OutboundEvent | None:
    """The event of a room's end, when nothing else is known of the room."""
    told = facts_of(finished)
    end = hear([], told, GRACE).end if told else None
    return end_event(end) if end else None


def test_a_finished_room_becomes_the_contracts_event() -> None:
    """Its data is what `RoomFinished` says, and its id is of the room sid alone."""
    outbound = end_of(webhook())
    assert outbound is not None
    assert msgspec.convert(outbound.event.data, RoomFinished) == RoomFinished(
        meeting_id="standup",
        started_at=CREATED,
        ended_at=FINISHED,
        room_sid="RM_1",
        source="webhook",
        reason="webhook",
    )
    assert outbound.event.id == "livekit-room_finished-RM_1"
    assert outbound.event.name == "livekit/room_finished"
    assert outbound.event.occurred_at == FINISHED
    assert (outbound.meeting_id, outbound.room_sid, outbound.source) == ("standup", "RM_1", "webhook")


def test_a_rooms_end_has_one_id_when_two_webhooks_tell_it() -> None:
    """The webhook's own id is no part of it."""
    first, second = (end_of(webhook(webhook_id=one)) for one in ("EV_1", "EV_2"))
    assert first is not None
    assert second is not None
    assert first.event.id == second.event.id


def test_a_short_meeting_doesnt_end_before_it_began_when_times_are_of_different_grain() -> None:
    """LiveKit dates the webhook to the second: 12:00:00.9 is told as 12:00:00, before the room's 12:00:00.7."""
    outbound = end_of(webhook(created_at=CREATED.replace(microsecond=0)))
    assert outbound is not None
    assert outbound.event.data["endedAt"] == outbound.event.data["startedAt"] == "2026-01-01T12:00:00.700000Z"


def test_a_meeting_starts_when_it_ends_when_the_room_has_no_creation_time() -> None:
    """An unknown start must not cost the event."""
    outbound = end_of(webhook(room=Room(sid="RM_1", name="standup", created_at=None)))
    assert outbound is not None
    assert outbound.event.data["startedAt"] == outbound.event.data["endedAt"]


def test_times_are_utc_when_they_came_in_another_zone() -> None:
    """Whatever zone a caller used."""
    elsewhere = FINISHED.astimezone(datetime.strptime("+0530", "%z").tzinfo)
    outbound = end_of(webhook(created_at=elsewhere))
    assert outbound is not None
    assert outbound.event.occurred_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "room",
    [
        None,
        Room(sid="", name="standup", created_at=CREATED),
        Room(sid="RM_1", name="", created_at=CREATED),
        Room(sid="RM_1", name="bell\a", created_at=CREATED),
        Room(sid="RM_1", name="x" * 257, created_at=CREATED),
    ],
)
def test_there_is_no_event_when_a_finished_room_cant_be_named(room: Room | None) -> None:
    """The webhook is kept all the same; see the use case."""
    with pytest.raises(NoEventError):
        check_finished(webhook(room=room))
    assert end_of(webhook(room=room)) is None


def test_other_webhooks_become_events_when_they_are_relayed() -> None:
    """One event each, named after LiveKit's, with the cleaned body."""
    relayed = frozenset({"room_finished", "participant_joined"})
    outbound = event_of(webhook("participant_joined"), relayed)
    assert outbound is not None
    assert outbound.event.id == "livekit-participant_joined-EV_1"
    assert outbound.event.name == "livekit/participant_joined"
    assert outbound.event.data == {
        "meetingId": "standup",
        "roomSid": "RM_1",
        "occurredAt": "2026-01-01T12:30:00Z",
        "source": "webhook",
        "webhook": {"id": "EV_1"},
    }


def test_webhooks_without_a_room_are_relayed_without_a_meeting() -> None:
    """As of an egress that records a web page."""
    outbound = event_of(webhook("egress_ended", room=None), frozenset({"egress_ended"}))
    assert outbound is not None
    assert (outbound.meeting_id, outbound.room_sid) == (None, None)


@pytest.mark.parametrize("part", ["egressInfo", "ingressInfo"])
def test_webhooks_are_relayed_as_their_meetings_when_they_name_its_room_within(part: str) -> None:
    """LiveKit puts no room beside an egress or ingress; its event must be found when the meeting is erased."""
    told = replace(webhook("some", room=None), body={"event": "some", part: {"roomName": "standup"}})
    outbound = event_of(told, frozenset({"some"}))
    assert outbound is not None
    assert outbound.meeting_id == outbound.event.data["meetingId"] == "standup"


@pytest.mark.parametrize("info", [None, [], "standup", {}, {"roomName": None}, {"roomName": ["standup"]}])
def test_webhooks_are_relayed_without_a_meeting_when_what_is_within_names_none(info: Any) -> None:
    """Whatever stands there."""
    told = replace(webhook("egress_ended", room=None), body={"egressInfo": info})
    outbound = event_of(told, frozenset({"egress_ended"}))
    assert outbound is not None
    assert outbound.meeting_id is None


def filled(message: Any) -> dict[str, Any]:
    """A message of LiveKit's protocol as JSON with all its fields, also those that exclude each other; every text is "words"."""

    def value(field: Any) -> Any:
        if field.message_type is not None:
            return filled(field.message_type)
        return "words" if field.type == field.TYPE_STRING else 7

    return {field.json_name: [value(field)] if field.is_repeated else value(field) for field in message.fields}


def test_no_words_are_kept_of_egress_and_ingress_beside_ids() -> None:
    """Of any field that the protocol knows: no name, address, file or error; ids, times, states and sizes are kept."""
    times, room = {"startedAt": 7, "endedAt": 7}, {"roomId": "words", "roomName": "words"}
    body = {"id": "EV_1", "egressInfo": filled(EgressInfo.DESCRIPTOR), "ingressInfo": filled(IngressInfo.DESCRIPTOR)}
    kept = minimised(body)
    egress, ingress = kept.pop("egressInfo"), kept.pop("ingressInfo")
    assert kept == {"id": "EV_1"}
    assert egress == times | room | {"egressId": "words", "sourceType": 7, "status": 7, "updatedAt": 7} | {
        "errorCode": 7,
        "retryCount": 7,
        "backupStorageUsed": 7,
        "fileResults": [times | {"duration": 7, "size": 7}],
        "streamResults": [times | {"duration": 7, "status": 7, "retries": 7, "lastRetryAt": 7}],
        "segmentResults": [times | {"duration": 7, "size": 7, "segmentCount": 7}],
        "imageResults": [times | {"imageCount": 7}],
    }
    assert ingress == {
        "ingressId": "words",
        "roomName": "words",
        "inputType": 7,
        "reusable": 7,
        "enabled": 7,
        "state": times | {"status": 7, "roomId": "words", "resourceId": "words", "updatedAt": 7},
    }


def test_webhooks_become_nothing_when_they_arent_relayed() -> None:
    """By default all but `room_finished`."""
    assert event_of(webhook("participant_joined"), FINISHED_ONLY) is None


def test_credentials_are_dropped_wherever_they_are() -> None:
    """At any depth, in lists too; their neighbours stay."""
    body = {"turnPassword": "x", "room": {"turnPassword": "x", "sid": "RM_1"}, "list": [[{"streamKey": 1, "id": 2}]]}
    assert storable(body) == {"room": {"sid": "RM_1"}, "list": [[{"id": 2}]]}


def test_text_is_made_storable_wherever_it_is() -> None:
    """PostgreSQL refuses NUL in jsonb; a name that holds one must not lose the webhook."""
    assert storable({"a\0": ["b\0", {"c": "d\0"}]}) == {"a\ufffd": ["b\ufffd", {"c": "d\ufffd"}]}


@given(JSON)
def test_what_is_kept_has_no_credential_and_nothing_that_postgres_refuses(value: Any) -> None:
    """For any JSON value."""
    kept = storable(value)
    text = msgspec.json.encode(kept).decode()
    assert not any(f'"{key}":' in text for key in CREDENTIAL_KEYS)
    assert "\\u0000" not in text
    assert storable(kept) == kept


def test_delivery_is_tried_for_28_hours_when_jitter_makes_every_wait_shortest() -> None:
    """And for no longer than 60 when every wait is longest; then the event is dead."""
    for random, least_hours, most_hours in ((0.0, 28, 29), (1.0, 55, 60)):
        waits = [retry_wait_seconds(attempt, lambda jitter=random: jitter) for attempt in range(1, MAX_ATTEMPTS)]  # type: ignore[misc]  # mypy can't infer a lambda with a default
        total_seconds = sum(wait for wait in waits if wait is not None)
        assert None not in waits
        assert least_hours * 3600 <= total_seconds <= most_hours * 3600
        assert retry_wait_seconds(MAX_ATTEMPTS, lambda: 0.5) is None


def test_a_metric_label_is_one_of_a_known_few_when_livekit_sends_something_new() -> None:
    """A label's values must be bounded."""
    assert webhook_label("room_finished") == "room_finished"
    assert webhook_label("moon_landed") == "other"

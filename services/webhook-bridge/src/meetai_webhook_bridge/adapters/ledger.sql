-- name: list_events(state, name, meeting_id, room_sid, received_from, received_before, before, batch)
SELECT position, id, name, source, room_sid, received_at, state, attempts, data, sent_at
FROM outbox
WHERE (:state::text IS NULL OR state = :state)
  AND (:name::text IS NULL OR name = :name)
  AND (:meeting_id::text IS NULL OR meeting_id = :meeting_id)
  AND (:room_sid::text IS NULL OR room_sid = :room_sid)
  AND (:received_from::timestamptz IS NULL OR received_at >= :received_from)
  AND (:received_before::timestamptz IS NULL OR received_at < :received_before)
  AND (:before::bigint IS NULL OR position < :before)
ORDER BY position DESC
LIMIT :batch

-- name: replay_event(id, unreadable)
UPDATE outbox
SET state = 'pending', attempts = 0, next_attempt_at = now(), asked_at = now(), sent_at = NULL, last_error = NULL
WHERE id = :id AND state <> 'pending' AND name <> :unreadable AND NOT data ? 'erased'
RETURNING position

-- name: find_event(id)
SELECT position, id, name, source, room_sid, received_at, state, attempts, data, sent_at FROM outbox WHERE id = :id

-- name: replay_events(state, name, meeting_id, received_from, received_before, after, unreadable, batch)
WITH chosen AS (
    SELECT position FROM outbox
    WHERE state <> 'pending' AND outbox.name <> :unreadable AND NOT data ? 'erased' AND received_at >= :received_from
      AND (:received_before::timestamptz IS NULL OR received_at < :received_before)
      AND (:state::text IS NULL OR state = :state)
      AND (:name::text IS NULL OR name = :name)
      AND (:meeting_id::text IS NULL OR meeting_id = :meeting_id)
      AND (:after::bigint IS NULL OR position > :after)
    ORDER BY position
    LIMIT :batch
    FOR UPDATE
)
UPDATE outbox
SET state = 'pending', attempts = 0, next_attempt_at = now(), asked_at = now(), sent_at = NULL, last_error = NULL
FROM chosen WHERE outbox.position = chosen.position
RETURNING outbox.position

-- name: rooms_life(name, at_most)
SELECT rooms.sid, started_at, heard_at, seen_at, agent_joined_at, finished_at, told_by, received_at, sent_at
FROM rooms LEFT JOIN outbox ON outbox.id = 'livekit-room_finished-' || rooms.told_by
WHERE rooms.name = :name
ORDER BY started_at DESC
LIMIT :at_most

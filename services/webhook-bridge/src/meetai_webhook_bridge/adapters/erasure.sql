-- name: erase_events(meeting_id, kept)!
-- The row stays, so that the same event told again stays out; one that wasn't delivered is not delivered any more.
UPDATE outbox
SET data = jsonb_strip_nulls(jsonb_build_object('meetingId', meeting_id, 'roomSid', room_sid, 'erased', true)),
    state = CASE state WHEN 'pending' THEN 'dead' ELSE state END,
    last_error = CASE state WHEN 'pending' THEN 'erased' ELSE last_error END
WHERE meeting_id = :meeting_id AND name <> ALL(:kept) AND NOT data ? 'erased'

-- name: erase_webhooks(meeting_id)!
-- Through the index on the time: while the meeting's rooms were known, and an hour more at either end.
UPDATE inbox SET body = '{"erased": true}'
FROM (
    SELECT min(heard_at) - interval '1 hour' AS first, max(greatest(heard_at, seen_at, finished_at)) + interval '1 hour' AS last
    FROM rooms WHERE name = :meeting_id
) AS known
WHERE room_name = :meeting_id AND received_at BETWEEN known.first AND known.last AND NOT body ? 'erased'

-- name: erase_rooms(meeting_id)!
-- What the application wrote into them; an open one can't be given its metadata back any more.
UPDATE rooms SET metadata = NULL WHERE name = :meeting_id AND metadata IS NOT NULL

-- name: erase_unreadable(needle)!
-- Bytes that can't be read so far as to say whose they are, and that hold this meeting's id.
UPDATE unreadable_entries SET payload = '' WHERE position(:needle::bytea IN payload) > 0

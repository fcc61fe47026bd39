-- name: name_events(meeting_id)!
-- What 0.1 relayed of an egress or ingress names its room in its data alone.
UPDATE outbox SET meeting_id = :meeting_id
WHERE meeting_id IS NULL
  AND :meeting_id IN (data #>> '{webhook,egressInfo,roomName}', data #>> '{webhook,ingressInfo,roomName}')

-- name: erase_events(meeting_id, kept)!
-- The row stays, so that the same event told again stays out; one that wasn't delivered is not delivered any more.
UPDATE outbox
SET data = jsonb_strip_nulls(jsonb_build_object('meetingId', meeting_id, 'roomSid', room_sid, 'erased', true)),
    state = CASE state WHEN 'pending' THEN 'dead' ELSE state END,
    last_error = CASE state WHEN 'pending' THEN 'erased' ELSE last_error END
WHERE meeting_id = :meeting_id AND name <> ALL(:kept) AND NOT data ? 'erased'

-- name: hours_of_rooms(meeting_id)
-- When rooms of the name were known, each from an hour before to an hour after, in parts of an hour; where rooms overlap, no part comes twice.
-- A clock that went back has left rooms that are still to come.
SELECT part, least(part + interval '1 hour', upper(known))
FROM (
    SELECT unnest(range_agg(tstzrange(
        heard_at - interval '1 hour',
        least(greatest(heard_at, seen_at, finished_at), greatest(heard_at, now())) + interval '1 hour'
    ))) AS known
    FROM rooms WHERE name = :meeting_id
) AS spans, generate_series(lower(known), upper(known), interval '1 hour') AS part
ORDER BY part

-- name: erase_webhooks(meeting_id, first, last)!
-- Through the index on the time. Those of an egress or ingress name their room in their body alone.
UPDATE inbox SET body = '{"erased": true}'
WHERE received_at BETWEEN :first AND :last
  AND (room_name = :meeting_id OR room_name IS NULL
       AND :meeting_id IN (body #>> '{egressInfo,roomName}', body #>> '{ingressInfo,roomName}'))
  AND NOT body ? 'erased'

-- name: erase_rooms(meeting_id)!
-- What the application wrote into them; an open one can't be given its metadata back any more.
UPDATE rooms SET metadata = NULL WHERE name = :meeting_id AND metadata IS NOT NULL

-- name: erase_unreadable(needles)!
-- Bytes that can't be read so far as to say whose they are, and that hold this meeting's id as somebody writes it.
UPDATE unreadable_entries SET payload = ''
WHERE EXISTS (SELECT FROM unnest(:needles::bytea[]) AS needle WHERE position(needle IN payload) > 0)

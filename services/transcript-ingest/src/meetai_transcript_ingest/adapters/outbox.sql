-- name: note_endings(room_sids)!
INSERT INTO room_endings (room_sid) SELECT unnest(:room_sids::text[])
ON CONFLICT (room_sid) DO UPDATE SET ended_at = now();

-- name: quiet_rooms(quiet_seconds, batch)
-- Their rows stay locked: a commit that ends something in one of these rooms waits, and notes it anew; one that has is left out.
WITH quiet AS (
    SELECT room_sid FROM room_endings
    WHERE ended_at <= now() - make_interval(secs => :quiet_seconds)
    ORDER BY ended_at
    LIMIT :batch
    FOR UPDATE SKIP LOCKED
)
DELETE FROM room_endings USING quiet WHERE room_endings.room_sid = quiet.room_sid
RETURNING room_endings.room_sid;

-- name: completed_rooms(room_sids, event_ids)
-- Of these rooms, those that are complete and of which nothing has been told. Lines are counted, by the index alone, only where
-- every producer has closed.
WITH asked AS (
    SELECT room_sid, event_id
    FROM unnest(:room_sids::text[], :event_ids::text[]) AS new (room_sid, event_id)
    WHERE NOT EXISTS (SELECT FROM outbox WHERE outbox.id = new.event_id)
), closed AS MATERIALIZED (
    SELECT event_id, room_sid, meeting_id
    FROM asked JOIN producers USING (room_sid)
    GROUP BY event_id, room_sid, meeting_id
    HAVING bool_and(closed_at IS NOT NULL)
)
SELECT closed.event_id, closed.meeting_id, closed.room_sid, sum(stored.count)::bigint, now()
FROM closed
JOIN producers AS known USING (room_sid, meeting_id)
CROSS JOIN LATERAL (
    SELECT count(*)
    FROM lines
    WHERE lines.producer_started = known.producer_started AND lines.producer_id = known.producer_id
) AS stored
CROSS JOIN LATERAL (
    SELECT coalesce(sum(upper(range) - lower(range)), 0) AS count FROM unnest(known.erased) AS range
) AS erased
GROUP BY closed.event_id, closed.meeting_id, closed.room_sid
HAVING bool_and(stored.count + erased.count = known.declared AND NOT EXISTS (
    SELECT FROM dead_letters
    WHERE dead_letters.producer_id = known.producer_id AND dead_letters.meeting_id = known.meeting_id AND seq > 0
));

-- name: insert_event(id, name, occurred_at, data)!
INSERT INTO outbox (id, name, occurred_at, data) VALUES (:id, :name, :occurred_at, :data) ON CONFLICT (id) DO NOTHING;

-- name: claim_events(batch, lease_seconds)
-- The lease is the next time they are due: a process that dies leaves them to whoever looks after that.
WITH due AS (
    SELECT position FROM outbox
    WHERE sent_at IS NULL AND due_at <= now()
    ORDER BY position
    LIMIT :batch
    FOR UPDATE SKIP LOCKED
)
UPDATE outbox SET attempts = attempts + 1, due_at = now() + make_interval(secs => :lease_seconds)
FROM due
WHERE outbox.position = due.position
RETURNING id, name, occurred_at, data;

-- name: mark_events_sent(ids)!
UPDATE outbox SET sent_at = now() WHERE id = ANY(:ids::text[]) AND sent_at IS NULL;

-- name: unsent_events()^
SELECT count(*), coalesce(extract(epoch FROM now() - min(occurred_at)), 0)::float8 FROM outbox WHERE sent_at IS NULL;

-- name: insert_webhook(id, event, room_sid, room_name, body)!
INSERT INTO inbox (id, event, room_sid, room_name, body)
VALUES (:id, :event, :room_sid, :room_name, :body)
ON CONFLICT (id) DO NOTHING

-- name: insert_event(id, name, source, meeting_id, room_sid, occurred_at, data, traceparent)!
INSERT INTO outbox (id, name, source, meeting_id, room_sid, occurred_at, data, traceparent)
VALUES (:id, :name, :source, :meeting_id, :room_sid, :occurred_at, :data, :traceparent)
ON CONFLICT (id) DO NOTHING

-- name: insert_unreadable(id, name, source, data, reason, payload)!
-- In the ledger as an event that died, so that it is seen where the others are; its bytes beside it.
WITH listed AS (
    INSERT INTO outbox (id, name, source, occurred_at, data, state, last_error)
    VALUES (:id, :name, :source, now(), :data, 'dead', :reason)
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)
INSERT INTO unreadable_entries (id, payload) SELECT id, :payload FROM listed

-- name: claim_due(lease_seconds, batch)
-- The lease is the next attempt's time: a process that dies leaves the event to whoever looks after that.
WITH due AS (
    SELECT position
    FROM outbox AS candidate
    WHERE state = 'pending'
      AND next_attempt_at <= now()
      AND NOT EXISTS (
          SELECT FROM outbox AS earlier
          WHERE earlier.state = 'pending'
            AND earlier.room_sid = candidate.room_sid
            AND earlier.position < candidate.position
      )
    ORDER BY next_attempt_at
    LIMIT :batch
    FOR UPDATE SKIP LOCKED
)
UPDATE outbox
SET attempts = attempts + 1,
    next_attempt_at = now() + make_interval(secs => :lease_seconds)
FROM due
WHERE outbox.position = due.position
RETURNING id, name, occurred_at, data, attempts, source, traceparent,
          extract(epoch FROM clock_timestamp() - coalesce(asked_at, received_at))::float8

-- name: mark_sent(id)!
UPDATE outbox SET state = 'sent', sent_at = now(), last_error = NULL
WHERE id = :id AND state <> 'sent'

-- name: mark_failed(id, attempt, reason, retry_after_seconds)!
UPDATE outbox SET last_error = :reason, next_attempt_at = now() + make_interval(secs => :retry_after_seconds)
WHERE id = :id AND state = 'pending' AND attempts = :attempt

-- name: mark_dead(id, attempt, reason)!
UPDATE outbox SET state = 'dead', last_error = :reason
WHERE id = :id AND state = 'pending' AND attempts = :attempt

-- name: backlog()
SELECT count(*) FILTER (WHERE state = 'pending'),
       count(*) FILTER (WHERE state = 'dead'),
       coalesce(extract(epoch FROM now() - min(coalesce(asked_at, received_at)) FILTER (WHERE state = 'pending')), 0)::float8
FROM outbox
WHERE state <> 'sent'

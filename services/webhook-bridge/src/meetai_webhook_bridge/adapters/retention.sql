-- name: expire_inbox(before, batch)
DELETE FROM inbox WHERE id IN (
    SELECT id FROM inbox WHERE received_at < :before ORDER BY received_at LIMIT :batch FOR UPDATE SKIP LOCKED
)

-- name: expire_outbox(before, batch)
WITH old AS (
    SELECT position FROM outbox WHERE received_at < :before AND state <> 'pending'
    ORDER BY received_at LIMIT :batch FOR UPDATE SKIP LOCKED
), unreadable AS (
    DELETE FROM unreadable_entries WHERE id IN (SELECT id FROM outbox JOIN old USING (position))
)
DELETE FROM outbox WHERE position IN (SELECT position FROM old)

-- name: expire_rooms(before, batch)
DELETE FROM rooms WHERE sid IN (
    SELECT sid FROM rooms WHERE seen_at < :before AND told_by IS NOT NULL
    ORDER BY seen_at LIMIT :batch FOR UPDATE SKIP LOCKED
)

-- name: lock_name(name)
-- Whoever learns something of a name's rooms does so alone: two rooms may become one meeting.
SELECT pg_advisory_xact_lock(hashtextextended(:name, 6001))

-- name: rooms_of_name(name, at_most)
SELECT sid, name, started_at, seen_at, announced_at, agent_joined_at, metadata, finished_at, told_by, missing_since
FROM rooms WHERE name = :name ORDER BY started_at DESC LIMIT :at_most

-- name: save_room(sid, name, started_at, seen_at, announced_at, agent_joined_at, metadata, finished_at, told_by, missing_since)!
INSERT INTO rooms (sid, name, started_at, seen_at, announced_at, agent_joined_at, metadata, finished_at, told_by, missing_since)
VALUES (:sid, :name, :started_at, :seen_at, :announced_at, :agent_joined_at, :metadata, :finished_at, :told_by, :missing_since)
ON CONFLICT (sid) DO UPDATE
SET started_at = :started_at, seen_at = :seen_at, announced_at = :announced_at, agent_joined_at = :agent_joined_at,
    metadata = :metadata, finished_at = :finished_at, told_by = :told_by, missing_since = :missing_since

-- name: open_rooms(at_most)
SELECT sid, name, started_at, seen_at, announced_at, agent_joined_at, metadata, finished_at, told_by, missing_since
FROM rooms WHERE told_by IS NULL ORDER BY started_at LIMIT :at_most

-- name: mark_seen(sids, seen_at)!
UPDATE rooms SET seen_at = :seen_at, missing_since = NULL
WHERE sid = ANY(:sids) AND told_by IS NULL AND seen_at < :seen_at

-- name: take_lead()
SELECT pg_try_advisory_lock(hashtextextended('meetai-webhook-bridge-leader', 0))

-- name: notify_leader()!
SELECT pg_notify('webhook_bridge_wake', '')

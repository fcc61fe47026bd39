-- name: bury_meeting(meeting_id)^
-- The tombstone. The position goes on, so that readers' caches are out of date. A meeting that nobody has heard of gets one too:
-- its first batch may be on its way. A clock that went back takes nothing from what was covered.
INSERT INTO meetings AS known (meeting_id, position, erased_at) VALUES (:meeting_id, 1, now())
ON CONFLICT (meeting_id) DO UPDATE SET position = known.position + 1, erased_at = greatest(known.erased_at, now())
RETURNING (extract(epoch FROM erased_at) * 1000)::bigint;

-- name: known_producers(meeting_id)
SELECT producer_id, producer_started, room_sid FROM producers WHERE meeting_id = :meeting_id ORDER BY producer_id;

-- name: name_early_producers(meeting_id, producer_ids)!
-- Those that the tombstone's time doesn't cover; what it named before stays named.
UPDATE meetings SET erased_producers = ARRAY(
    SELECT DISTINCT producer_id FROM unnest(erased_producers || :producer_ids::uuid[]) AS producer_id
) WHERE meeting_id = :meeting_id;

-- name: request_erasure(meeting_id, actor)!
INSERT INTO erasures AS known (meeting_id, actor) VALUES (:meeting_id, :actor)
ON CONFLICT (meeting_id) DO UPDATE SET
    actor = excluded.actor,
    requested_at = now(),
    unread_after = 0,
    lines = CASE WHEN known.finished_at IS NULL THEN known.lines ELSE 0 END,
    dead_letters = CASE WHEN known.finished_at IS NULL THEN known.dead_letters ELSE 0 END,
    finished_at = NULL;

-- name: erase_summary(meeting_id)!
-- At once: whoever stores one later takes the lock that the tombstone is under, and finds the tombstone.
DELETE FROM summaries WHERE meeting_id = :meeting_id;

-- name: wake_followers(wake)!
-- They look again, and are told that there is nothing more to see.
SELECT pg_notify('meetai_transcript_lines', :wake);

-- name: tombstone(meeting_id)^
SELECT (extract(epoch FROM erased_at) * 1000)::bigint, erased_producers FROM meetings
WHERE meeting_id = :meeting_id AND erased_at IS NOT NULL;

-- name: lock_producers(producer_ids)!
-- Before their lines and letters, as every commit does.
SELECT FROM producers WHERE producer_id = ANY(:producer_ids::uuid[]) ORDER BY producer_id FOR UPDATE;

-- name: erase_lines(producer_started, producer_id, batch)
-- By a range of the key: with IN the planner, which knows little of today's partition, compares every line with every other
-- (2.7 s instead of 2 ms for 2,000 of 10,000).
DELETE FROM lines
WHERE producer_started = :producer_started AND producer_id = :producer_id AND seq <= (
    SELECT max(seq) FROM (
        SELECT seq FROM lines
        WHERE producer_started = :producer_started AND producer_id = :producer_id
        ORDER BY seq LIMIT :batch
    ) AS first_lines
)
RETURNING seq;

-- name: letters_of_meeting(meeting_id, after, batch)
SELECT id, producer_id, seq FROM dead_letters WHERE meeting_id = :meeting_id AND id > :after ORDER BY id LIMIT :batch;

-- name: erase_letters(ids)!
DELETE FROM dead_letters WHERE id = ANY(:ids::bigint[]);

-- name: erasure_place(meeting_id)^
SELECT requested_at, unread_after FROM erasures WHERE meeting_id = :meeting_id;

-- name: unread_letters(after, needle, batch)
-- Letters that can't be read so far as to say whose they are, and whether they hold this meeting's id as msgpack writes it. Ordered as
-- the index is: each may be a mebibyte, and none of those before is to be looked at again.
SELECT id, position(:needle::bytea IN payload) > 0 FROM dead_letters
WHERE meeting_id IS NULL AND id > :after ORDER BY meeting_id, id LIMIT :batch;

-- name: move_erasure_place(meeting_id, requested_at, unread_after)!
-- Unless it was asked for once more meanwhile.
UPDATE erasures SET unread_after = greatest(unread_after, :unread_after)
WHERE meeting_id = :meeting_id AND requested_at = :requested_at;

-- name: note_erased(meeting_ids, producer_ids, ranges)!
UPDATE producers SET erased = erased + ranges::int8multirange
FROM unnest(:meeting_ids::text[], :producer_ids::uuid[], :ranges::text[]) AS new (meeting, id, ranges)
WHERE producer_id = new.id AND meeting_id = new.meeting;

-- name: count_erased(meeting_id, lines, dead_letters)!
UPDATE erasures SET lines = lines + :lines, dead_letters = dead_letters + :dead_letters WHERE meeting_id = :meeting_id;

-- name: locked_tombstone(meeting_id)^
SELECT (extract(epoch FROM erased_at) * 1000)::bigint, erased_producers FROM meetings
WHERE meeting_id = :meeting_id AND erased_at IS NOT NULL FOR UPDATE;

-- name: finish_erasure(meeting_id)^
UPDATE erasures SET finished_at = now() WHERE meeting_id = :meeting_id AND finished_at IS NULL
RETURNING actor, lines, dead_letters;

-- name: bump_position(meeting_id)!
UPDATE meetings SET position = position + 1 WHERE meeting_id = :meeting_id;

-- name: unfinished_erasures(batch)
SELECT meeting_id FROM erasures WHERE finished_at IS NULL ORDER BY requested_at LIMIT :batch;

-- name: write_audit(actor, action, meeting_id, counts)!
INSERT INTO audit (actor, action, meeting_id, counts) VALUES (:actor, :action, :meeting_id, :counts);

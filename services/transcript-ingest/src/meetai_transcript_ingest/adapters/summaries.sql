-- name: lock_meeting(meeting_id)^
-- The row that an erasure takes too: one comes before the other, and who comes second sees what the first did.
INSERT INTO meetings AS known (meeting_id, position) VALUES (:meeting_id, 0)
ON CONFLICT (meeting_id) DO UPDATE SET position = known.position
RETURNING (extract(epoch FROM erased_at) * 1000)::bigint, erased_producers;

-- name: days_of_producers(meeting_id, producer_ids)
-- All of them where none is named.
SELECT producer_id, producer_started FROM producers
WHERE meeting_id = :meeting_id AND (producer_id = ANY(:producer_ids::uuid[]) OR :producer_ids::uuid[] = '{}');

-- name: summary(meeting_id)^
-- None while the meeting is being erased, as for its lines.
SELECT summary, stored_at FROM summaries
WHERE meeting_id = :meeting_id
  AND NOT EXISTS (SELECT FROM erasures WHERE meeting_id = :meeting_id AND finished_at IS NULL);

-- name: stored_summary(meeting_id)^
SELECT summary, stored_at FROM summaries WHERE meeting_id = :meeting_id;

-- name: store_summary(meeting_id, summary, oldest_day)^
-- Where no producer tells its day, the summary is as old as itself.
INSERT INTO summaries AS known (meeting_id, summary, stored_at, oldest_day)
VALUES (:meeting_id, :summary, now(), coalesce(:oldest_day::date, now()::date))
ON CONFLICT (meeting_id) DO UPDATE
SET summary = excluded.summary, stored_at = excluded.stored_at, oldest_day = excluded.oldest_day
RETURNING summary, stored_at;

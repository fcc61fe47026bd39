-- name: store_time()^
SELECT now();

-- name: lock_partitions()^
-- Who makes partitions holds the same lock, as this service itself does when it starts; it ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('meetai-line-partitions', 0));

-- name: wait_briefly(lock_timeout)^
-- Dropping a partition needs the whole table for a moment, and writers queue behind whoever waits for that.
SELECT set_config('lock_timeout', :lock_timeout, true);

-- name: oldest_expired_partition(before)^
SELECT relname, to_date(substr(relname, 7), 'YYYYMMDD')
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'lines'::regclass AND relname ~ '^lines_\d{8}$' AND to_date(substr(relname, 7), 'YYYYMMDD') < :before
ORDER BY relname LIMIT 1;

-- name: forget_day(day)^
-- A day's producers with their letters, because a proof without their lines would call them missing.
WITH gone AS (
    DELETE FROM producers WHERE producer_started = :day RETURNING producer_id
), letters AS (
    DELETE FROM dead_letters USING gone WHERE dead_letters.producer_id = gone.producer_id
)
SELECT count(*) FROM gone;

-- name: forget_producers(before, undated, batch)^
-- Those that came to be known, by a batch that was late, after their day had been dropped; never of a day that still has lines.
WITH gone AS (
    DELETE FROM producers WHERE producer_id IN (
        SELECT producer_id FROM producers
        WHERE producer_started < :before AND producer_started <> :undated
          AND to_regclass('lines_' || to_char(producer_started, 'YYYYMMDD')) IS NULL
        LIMIT :batch
    ) RETURNING producer_id
), letters AS (
    DELETE FROM dead_letters USING gone WHERE dead_letters.producer_id = gone.producer_id
)
SELECT count(*) FROM gone;

-- name: forget_undated_producers(before, undated, batch)^
-- A producer whose id tells no time is as old as the last that is known of it. Its lines follow it, below.
WITH quiet AS (
    SELECT producer_id FROM producers
    WHERE producer_started = :undated
      AND coalesce(opened_at, '-infinity') < :before AND coalesce(closed_at, '-infinity') < :before
      AND NOT EXISTS (
          SELECT FROM lines
          WHERE lines.producer_started = :undated AND lines.producer_id = producers.producer_id
            AND committed_at >= :before
      )
      AND (opened_at IS NOT NULL OR closed_at IS NOT NULL OR EXISTS (
          SELECT FROM lines WHERE lines.producer_started = :undated AND lines.producer_id = producers.producer_id
      ))
    LIMIT :batch
), letters AS (
    DELETE FROM dead_letters USING quiet WHERE dead_letters.producer_id = quiet.producer_id
), gone AS (
    DELETE FROM producers USING quiet WHERE producers.producer_id = quiet.producer_id RETURNING 1
)
SELECT count(*) FROM gone;

-- name: expired_default_lines(before, undated, batch)
-- Lines in the default partition whose producer is forgotten, for there is no partition to drop: up to which number of whom.
SELECT producer_started, producer_id, max(seq) FROM (
    SELECT producer_started, producer_id, seq FROM lines_default
    WHERE (producer_started <> :undated AND producer_started < :before)
       OR (producer_started = :undated AND committed_at < :before AND NOT EXISTS (
           SELECT FROM producers WHERE producers.producer_id = lines_default.producer_id
       ))
    ORDER BY producer_started, producer_id, seq
    LIMIT :batch
) AS expired
GROUP BY producer_started, producer_id;

-- name: expire_lines(producer_started, producer_id, seq)!
-- Through the parent, whose trigger tells the search index; by a range of the key, as in an erasure.
DELETE FROM lines WHERE producer_started = :producer_started AND producer_id = :producer_id AND seq <= :seq;

-- name: expire_dead_letters(before, batch)!
DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters WHERE died_at < :before ORDER BY id LIMIT :batch);

-- name: expire_summaries(before, batch)!
DELETE FROM summaries WHERE meeting_id IN (SELECT meeting_id FROM summaries WHERE oldest_day < :before LIMIT :batch);

-- name: expire_events(before, batch)!
-- Only what was sent, and only of rooms that nobody knows of any more: the row is what makes the event once a room.
DELETE FROM outbox WHERE position IN (
    SELECT position FROM outbox
    WHERE sent_at < :before AND NOT EXISTS (SELECT FROM producers WHERE room_sid = outbox.data ->> 'roomSid')
    ORDER BY position LIMIT :batch
);

-- name: expire_erasures(before, batch)!
-- That it was finished; the tombstone stays with the meeting.
DELETE FROM erasures WHERE meeting_id IN (SELECT meeting_id FROM erasures WHERE finished_at < :before LIMIT :batch);

-- name: expire_audit(before, batch)!
DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < :before ORDER BY id LIMIT :batch);

-- name: list_letters(reason, meeting_id, died_from, died_before, stream, entry_id, before, batch)
-- Metadata alone, newest first.
SELECT id, reason, detail, stream, entry_id, meeting_id, producer_id, nullif(seq, 0), died_at, attempts, attempted_at,
       length(payload)
FROM dead_letters
WHERE (:reason::text IS NULL OR reason = :reason)
  AND (:meeting_id::text IS NULL OR meeting_id = :meeting_id)
  AND (:died_from::timestamptz IS NULL OR died_at >= :died_from)
  AND (:died_before::timestamptz IS NULL OR died_at < :died_before)
  AND (:stream::text IS NULL OR (stream = :stream AND entry_id = :entry_id))
  AND (:before::bigint IS NULL OR id < :before)
ORDER BY id DESC
LIMIT :batch;

-- name: get_letter(id)^
-- Not of a meeting that is being erased.
SELECT id, reason, detail, stream, entry_id, meeting_id, producer_id, nullif(seq, 0), died_at, attempts, attempted_at,
       length(payload), payload
FROM dead_letters
WHERE id = :id
  AND NOT EXISTS (
      SELECT FROM erasures WHERE erasures.meeting_id = dead_letters.meeting_id AND finished_at IS NULL
  );

-- name: count_letters()
-- Bounded: a table that an accident has filled mustn't be read whole every few seconds.
SELECT count(*) FROM (SELECT FROM dead_letters LIMIT 10000) AS counted;

-- name: lock_meeting_of_letter(id)!
-- As every commit does, before the letter: removing one may complete a room.
SELECT FROM meetings WHERE meeting_id = (SELECT meeting_id FROM dead_letters WHERE id = :id) FOR UPDATE;

-- name: room_of_producer(producer_id, meeting_id)
SELECT room_sid FROM producers WHERE producer_id = :producer_id AND meeting_id = :meeting_id;

-- name: remove_letter(id)^
DELETE FROM dead_letters WHERE id = :id RETURNING meeting_id, producer_id, seq, reason;

-- name: attempted_letter(id, reason, detail)!
UPDATE dead_letters SET reason = :reason, detail = :detail, attempts = attempts + 1, attempted_at = now() WHERE id = :id;

-- name: write_audit(actor, action, meeting_id, counts)!
INSERT INTO audit (actor, action, meeting_id, counts) VALUES (:actor, :action, :meeting_id, :counts);

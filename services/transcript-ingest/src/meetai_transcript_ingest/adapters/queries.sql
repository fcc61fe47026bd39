-- name: declare_producers(producer_ids, days, meeting_ids, room_sids, declared, opened, closed, gaps, meetings, counts, wake)
-- What batches say of their producers, and the positions of their lines: a row a meeting with the last of those that it now
-- has and with its tombstone, and none at all where a producer belongs to another meeting. Each row also has the producers
-- among these that have closed by now, and their rooms. One statement, because each costs a round trip. The
-- condition on the count makes PostgreSQL finish with the producers before it locks a meeting: every writer locks in one order.
-- The wake-up goes out when this commits.
WITH known_producers AS (
    INSERT INTO producers AS known
        (producer_id, producer_started, meeting_id, room_sid, declared, opened_at, closed_at, gaps)
    SELECT producer_id, day, meeting_id, room_sid, declared,
           CASE WHEN opened THEN now() END, CASE WHEN closed THEN now() END, gaps::int8multirange
    FROM unnest(
        :producer_ids::uuid[], :days::date[], :meeting_ids::text[], :room_sids::text[], :declared::bigint[],
        :opened::boolean[], :closed::boolean[], :gaps::text[]
    ) AS new (producer_id, day, meeting_id, room_sid, declared, opened, closed, gaps)
    ON CONFLICT (producer_id) DO UPDATE SET
        declared = greatest(known.declared, excluded.declared),
        opened_at = coalesce(known.opened_at, excluded.opened_at),
        closed_at = coalesce(known.closed_at, excluded.closed_at),
        gaps = known.gaps + excluded.gaps
    WHERE known.meeting_id = excluded.meeting_id
    RETURNING producer_id, room_sid, closed_at IS NOT NULL AS is_closed
), closed_producers AS (
    SELECT array_agg(producer_id) AS ids, array_agg(room_sid) AS rooms FROM known_producers WHERE is_closed
), taken AS (
    INSERT INTO meetings AS known (meeting_id, position)
    SELECT meeting_id, count FROM unnest(:meetings::text[], :counts::bigint[]) AS new (meeting_id, count)
    WHERE (SELECT count(*) FROM known_producers) = cardinality(:producer_ids::uuid[])
    ON CONFLICT (meeting_id) DO UPDATE SET position = known.position + excluded.position
    RETURNING meeting_id, position, erased_at, erased_producers
)
SELECT meeting_id, position, (extract(epoch FROM erased_at) * 1000)::bigint, erased_producers,
       (SELECT ids FROM closed_producers), (SELECT rooms FROM closed_producers),
       (SELECT pg_notify('meetai_transcript_lines', :wake))
FROM taken;

-- name: copy_lines()!
-- Columns as copy_rows.py writes them.
COPY lines (
    commit_position, seq, started_ms, ended_ms, interrupted, confidence, text, speaker_identity, speaker_name, speaker_kind,
    language, source, producer_started, producer_id, meeting_id, room_sid
) FROM STDIN WITH (FORMAT binary);

-- name: make_staging()!
-- One a connection, emptied at every COMMIT, so that conflicts don't churn the catalogue.
CREATE TEMPORARY TABLE IF NOT EXISTS staged_lines (LIKE lines INCLUDING DEFAULTS)
ON COMMIT DELETE ROWS;

-- name: copy_staged()!
-- As copy_lines. A meeting's positions tell its staged lines apart, also two of the same id.
COPY staged_lines (
    commit_position, seq, started_ms, ended_ms, interrupted, confidence, text, speaker_identity, speaker_name, speaker_kind,
    language, source, producer_started, producer_id, meeting_id, room_sid
) FROM STDIN WITH (FORMAT binary);

-- name: insert_staged()!
-- The first to come is kept, also of two in the same write.
INSERT INTO lines (
    commit_position, producer_started, producer_id, meeting_id, room_sid, seq, speaker_identity, speaker_name, speaker_kind,
    text, started_ms, ended_ms, language, confidence, interrupted, source
)
SELECT commit_position, producer_started, producer_id, meeting_id, room_sid, seq, speaker_identity, speaker_name, speaker_kind,
       text, started_ms, ended_ms, language, confidence, interrupted, source
FROM staged_lines
ORDER BY producer_started, producer_id, seq, commit_position
ON CONFLICT DO NOTHING;

-- name: conflicting_lines()
-- Staged lines whose id is stored with anything else in it, but for `source`, which a replica of the version before leaves out.
-- LIMIT 1 keeps this a probe of the key for each staged line: the
-- planner knows nothing of staged_lines, and a hash join would read the whole table.
SELECT staged.meeting_id, staged.commit_position
FROM staged_lines AS staged
CROSS JOIN LATERAL (
    SELECT * FROM lines
    WHERE lines.producer_started = staged.producer_started
      AND lines.producer_id = staged.producer_id
      AND lines.seq = staged.seq
    LIMIT 1
) AS stored
WHERE (stored.meeting_id, stored.room_sid, stored.speaker_identity, stored.speaker_name, stored.speaker_kind, stored.text,
       stored.started_ms, stored.ended_ms, stored.language, stored.confidence, stored.interrupted)
    IS DISTINCT FROM
      (staged.meeting_id, staged.room_sid, staged.speaker_identity, staged.speaker_name, staged.speaker_kind, staged.text,
       staged.started_ms, staged.ended_ms, staged.language, staged.confidence, staged.interrupted);

-- name: insert_dead_letter(stream, entry_id, seq, reason, detail, meeting_id, producer_id, payload)!
-- An entry that is delivered again dies once.
INSERT INTO dead_letters (stream, entry_id, seq, reason, detail, meeting_id, producer_id, payload)
VALUES (:stream, :entry_id, :seq, :reason, :detail, :meeting_id, :producer_id, :payload)
ON CONFLICT (stream, entry_id, seq) DO NOTHING;

-- name: prepare_partitions(first_day, days)$
SELECT prepare_line_partitions(:first_day::date, :days::integer);

-- name: producer_days(meeting_id)^
-- The partitions that can hold a meeting's lines. Asked first, because the planner leaves the others out only when it is
-- given the days themselves. None while the meeting is being erased: nothing is read of it from the erasure's first commit on.
SELECT min(producer_started), max(producer_started) FROM producers
WHERE meeting_id = :meeting_id
  AND NOT EXISTS (SELECT FROM erasures WHERE meeting_id = :meeting_id AND finished_at IS NULL);

-- name: tombstone(meeting_id)^
-- Of an erased meeting: when it was erased, what that covers, whether rows are still being removed, and whom it has had.
SELECT (extract(epoch FROM erased_at) * 1000)::bigint, erased_producers,
       EXISTS (SELECT FROM erasures WHERE erasures.meeting_id = :meeting_id AND finished_at IS NULL),
       ARRAY(SELECT producer_id FROM producers WHERE producers.meeting_id = :meeting_id)
FROM meetings
WHERE meeting_id = :meeting_id AND erased_at IS NOT NULL;

-- name: version(meeting_id)^
-- Retention takes lines without a position, and with them their producers. Which of these there are, not how many: another may
-- have come.
SELECT position, (
    SELECT coalesce(bit_xor(hashtextextended(producer_id::text, 0)), 0) FROM producers
    WHERE producers.meeting_id = meetings.meeting_id
)
FROM meetings WHERE meeting_id = :meeting_id;

-- name: lines_since(meeting_id, first_day, last_day, position, count)
-- In the order of their commits.
SELECT commit_position, producer_id, seq, speaker_identity, speaker_name, speaker_kind, text, started_ms, ended_ms,
       committed_at, language, confidence, interrupted, source
FROM lines
WHERE meeting_id = :meeting_id
  AND producer_started BETWEEN :first_day AND :last_day
  AND commit_position > :position
ORDER BY commit_position
LIMIT :count;

-- name: over_for_seconds(meeting_id)^
-- max() leaves nulls out, hence the condition; null as well where there are no producers.
SELECT CASE WHEN bool_and(closed_at IS NOT NULL) THEN extract(epoch FROM now() - max(closed_at))::float8 END
FROM producers WHERE meeting_id = :meeting_id;

-- name: line_partitions()
SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'lines'::regclass ORDER BY 1;

-- name: place_lines(partition, at_most)$
SELECT place_lines(:partition::regclass, :at_most::integer);

-- name: lines_after(meeting_id, first_day, last_day, started_ms, producer_id, seq, committed_since, count)
SELECT producer_id, seq, speaker_identity, speaker_name, speaker_kind, text, started_ms, ended_ms, committed_at, language,
       confidence, interrupted, source
FROM lines
WHERE meeting_id = :meeting_id
  AND producer_started BETWEEN :first_day AND :last_day
  AND (started_ms, producer_id, seq) > (:started_ms, :producer_id, :seq)
  AND (:committed_since::timestamptz IS NULL OR committed_at >= :committed_since)
ORDER BY started_ms, producer_id, seq
LIMIT :count;

-- name: producer_records(meeting_id, max_ranges)
-- Everything is counted on ranges; of those present, the first few are given out.
SELECT known.producer_id, known.room_sid, known.declared, stored.count, dead.count,
       (SELECT coalesce(sum(upper(range) - lower(range)), 0)::bigint FROM unnest(present.ranges) AS range),
       ARRAY(SELECT lower(range) FROM unnest(present.ranges) AS range LIMIT :max_ranges),
       ARRAY(SELECT upper(range) - 1 FROM unnest(present.ranges) AS range LIMIT :max_ranges),
       (SELECT coalesce(sum(upper(range) - lower(range)), 0)::bigint FROM unnest(known.gaps - present.ranges) AS range),
       extract(epoch FROM now() - known.closed_at)::float8,
       (SELECT coalesce(sum(upper(range) - lower(range)), 0)::bigint FROM unnest(known.erased) AS range)
FROM producers AS known
CROSS JOIN LATERAL (
    SELECT count(*), coalesce(range_agg(int8range(seq, seq + 1)), '{}') AS ranges
    FROM lines
    WHERE lines.producer_started = known.producer_started AND lines.producer_id = known.producer_id
) AS stored
CROSS JOIN LATERAL (
    SELECT count(DISTINCT seq), coalesce(range_agg(int8range(seq, seq + 1)), '{}') AS ranges
    FROM dead_letters
    WHERE dead_letters.producer_id = known.producer_id AND dead_letters.meeting_id = known.meeting_id AND seq > 0
) AS dead
CROSS JOIN LATERAL (
    SELECT (stored.ranges + dead.ranges + known.erased) * int8multirange(int8range(1, known.declared + 1)) AS ranges
) AS present
WHERE known.meeting_id = :meeting_id
ORDER BY known.producer_id;

-- name: limit_search(timeout_ms, language, query)^
-- The first of a search's transaction: how long its statements may take, and what its words mean in the languages that are
-- looked through. Read by itself, so that the planner knows what it plans for.
SELECT set_config('statement_timeout', :timeout_ms::text, true), search_query(:language, :query)::text;

-- name: find_lines(query, meeting_id, language, speaker, from_ms, to_ms, started_ms, producer_id, seq, count)
-- Keys of matching lines, the newest first; at least one row, for what it says of the index: what was committed before has been
-- looked through. In one statement, and so as of one instant.
SELECT indexed.through, found.*
FROM (
    SELECT coalesce(min(queued_at), now()) AS through FROM search_due
    WHERE :meeting_id::text IS NULL OR meeting_id = :meeting_id
) AS indexed
LEFT JOIN LATERAL (
    SELECT started_ms, producer_id, seq, producer_started
    FROM search_lines
    WHERE words @@ :query::tsquery
      AND (:meeting_id::text IS NULL OR meeting_id = :meeting_id)
      AND (:language::text IS NULL OR language = :language OR starts_with(language, :language || '-'))
      AND (:speaker::text IS NULL OR speaker_identity = :speaker)
      AND started_ms >= :from_ms AND started_ms < :to_ms
      AND (started_ms, producer_id, seq) < (:started_ms, :producer_id, :seq)
    ORDER BY started_ms DESC, producer_id DESC, seq DESC
    LIMIT :count
) AS found ON true
ORDER BY found.started_ms DESC, found.producer_id DESC, found.seq DESC;

-- name: show_lines(producer_ids, seqs, day_of_each, days, query, start, stop)
-- What these keys stand for, with marks round the matches. Lines that are gone, or are being erased, aren't shown, whatever the
-- index says. The days are given twice: once for the planner, which leaves the other partitions out.
SELECT line.started_ms, line.producer_id, line.seq, line.meeting_id, line.speaker_identity, line.speaker_name, line.speaker_kind,
       line.text, line.ended_ms, line.language, line.source,
       ts_headline(
           search_configuration(line.language)::regconfig, searchable(line.text),
           websearch_to_tsquery(search_configuration(line.language)::regconfig, :query),
           'HighlightAll=true, StartSel=' || :start || ', StopSel=' || :stop
       )
FROM unnest(:producer_ids::uuid[], :seqs::bigint[], :day_of_each::date[]) AS wanted (producer_id, seq, day)
JOIN lines AS line
  ON line.producer_started = wanted.day AND line.producer_id = wanted.producer_id AND line.seq = wanted.seq
WHERE line.producer_started = ANY(:days::date[])
  AND NOT EXISTS (SELECT FROM erasures WHERE erasures.meeting_id = line.meeting_id AND finished_at IS NULL)
ORDER BY line.started_ms DESC, line.producer_id DESC, line.seq DESC;

-- name: index_due_lines(at_most)$
SELECT index_due_lines(:at_most::integer);

-- name: postpone_durability()!
-- What an index entry is made of is durable, and says so in search_due until the entry is too: nobody has to wait for the disk.
SET LOCAL synchronous_commit = off;

-- name: sweep_search_lines(at_most)$
SELECT sweep_search_lines(:at_most::integer);

-- name: index_backlog()^
SELECT coalesce(sum(last_position - after_position), 0)::bigint,
       coalesce(extract(epoch FROM now() - min(queued_at)), 0)::float8
FROM search_due;

-- Commit order by meeting (ADR 0020): whoever commits lines of a meeting takes the next positions under the meeting's row
-- lock, so that a position is never seen before a lower one.

-- Updated at every write; the room left makes those updates stay on their page. Rows are never deleted while a meeting has
-- lines: a position is given once.
CREATE TABLE meetings (
    meeting_id text PRIMARY KEY,
    position bigint NOT NULL
) WITH (fillfactor = 70);

-- Null in what came before this migration, and in what a replica of the version before it still writes (its COPY names its
-- columns; its staging table has a column `position` of its own, hence this one's name). place_lines gives those their places.
ALTER TABLE lines ADD COLUMN commit_position bigint;

-- What the live tail reads by.
CREATE INDEX lines_by_position ON lines (meeting_id, commit_position);

-- Empty but for an upgrade, and so as good as free.
CREATE INDEX lines_unplaced ON lines (meeting_id) WHERE commit_position IS NULL;

-- Give lines of one partition that have none their positions, at most so many; returns how many. Meetings are locked in the
-- order of their UTF-8 bytes, as the writers lock them.
CREATE FUNCTION place_lines(part regclass, at_most integer) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT AS $function$
DECLARE
    placed integer;
BEGIN
    EXECUTE format('
        WITH unplaced AS MATERIALIZED (
            SELECT producer_started, producer_id, seq, meeting_id, started_ms FROM %1$s
            WHERE commit_position IS NULL LIMIT $1 FOR UPDATE SKIP LOCKED
        ), taken AS (
            INSERT INTO meetings AS known (meeting_id, position)
            SELECT meeting_id, count(*) FROM unplaced GROUP BY meeting_id ORDER BY meeting_id COLLATE "C"
            ON CONFLICT (meeting_id) DO UPDATE SET position = known.position + excluded.position
            RETURNING meeting_id, position
        ), numbered AS (
            SELECT producer_started, producer_id, seq, meeting_id,
                   row_number() OVER (PARTITION BY meeting_id ORDER BY started_ms, producer_id, seq)
                   - count(*) OVER (PARTITION BY meeting_id) AS behind
            FROM unplaced
        )
        UPDATE %1$s AS line SET commit_position = taken.position + numbered.behind
        FROM numbered JOIN taken ON taken.meeting_id = numbered.meeting_id
        WHERE line.producer_started = numbered.producer_started
          AND line.producer_id = numbered.producer_id AND line.seq = numbered.seq', part) USING at_most;
    GET DIAGNOSTICS placed = ROW_COUNT;
    IF placed > 0 THEN
        PERFORM pg_notify('meetai_transcript_lines', '');
    END IF;
    RETURN placed;
END
$function$;

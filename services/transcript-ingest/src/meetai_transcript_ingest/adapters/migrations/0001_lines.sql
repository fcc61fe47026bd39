-- Lines, what is known of their producers, and what could not be stored.

-- No foreign key, trigger, generated column or volatile default here: each would slow the COPY that fills it (FACTS,
-- PostgreSQL). committed_at is the transaction's time for that reason; it is not an order of commits.
CREATE TABLE lines (
    producer_id uuid NOT NULL,
    seq bigint NOT NULL,
    started_ms bigint NOT NULL,
    ended_ms bigint NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT now(),
    confidence double precision,
    producer_started date NOT NULL,
    interrupted boolean NOT NULL,
    speaker_kind text NOT NULL,
    meeting_id text NOT NULL,
    room_sid text NOT NULL,
    speaker_identity text NOT NULL,
    speaker_name text NOT NULL,
    text text NOT NULL,
    language text,
    PRIMARY KEY (producer_started, producer_id, seq)
) PARTITION BY RANGE (producer_started);

-- The reading order within a meeting.
CREATE INDEX lines_by_meeting ON lines (meeting_id, started_ms, producer_id, seq);

-- A producer whose id tells no time, or a time for which no partition was made, loses nothing.
CREATE TABLE lines_default PARTITION OF lines DEFAULT;

-- Updated at every write; none of what changes is indexed, and the room left makes those updates stay on their page.
CREATE TABLE producers (
    producer_id uuid PRIMARY KEY,
    producer_started date NOT NULL,
    meeting_id text NOT NULL,
    room_sid text NOT NULL,
    declared bigint NOT NULL,
    gaps int8multirange NOT NULL DEFAULT '{}',
    opened_at timestamptz,
    closed_at timestamptz
) WITH (fillfactor = 70);

CREATE INDEX producers_by_meeting ON producers (meeting_id, producer_started);

-- payload is a stream entry's field `b`: whole, or a batch of the one line that seq names (0: the whole entry).
CREATE TABLE dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream text NOT NULL,
    entry_id text NOT NULL,
    seq bigint NOT NULL DEFAULT 0,
    reason text NOT NULL,
    detail text NOT NULL,
    meeting_id text,
    producer_id uuid,
    payload bytea NOT NULL,
    died_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (stream, entry_id, seq)
);

CREATE INDEX dead_letters_by_producer ON dead_letters (producer_id, seq) WHERE producer_id IS NOT NULL;

-- One partition a day, made ahead. Rows that came before their partition are moved into it; they wait in the default
-- partition, which is locked only when there is a partition to make.
CREATE FUNCTION prepare_line_partitions(first_day date, days integer) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '2s' AS $function$
DECLARE
    day date;
    name text;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('meetai-line-partitions', 0));
    FOR day IN SELECT first_day + i FROM generate_series(0, days - 1) AS i LOOP
        name := 'lines_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        LOCK TABLE lines_default IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('CREATE TABLE %I (LIKE lines INCLUDING DEFAULTS)', name);
        EXECUTE format(
            'WITH early AS (DELETE FROM lines_default WHERE producer_started = %L RETURNING *) INSERT INTO %I SELECT * FROM early',
            day, name);
        EXECUTE format('ALTER TABLE lines ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, day, day + 1);
        made := made + 1;
    END LOOP;
    RETURN made;
END
$function$;

DO $$ BEGIN PERFORM prepare_line_partitions((now() AT TIME ZONE 'UTC')::date - 1, 9); END $$;

-- The search index: which words are in which line, filled beside the writers (ADR 0023). The text stays in `lines` alone.

-- One configuration a language that PostgreSQL can stem, each without its stop words, so that every word of a phrase counts.
DO $$
DECLARE
    known record;
    stemmer text;
BEGIN
    CREATE TEXT SEARCH CONFIGURATION search_simple (COPY = pg_catalog.simple);
    FOR known IN
        SELECT cfgname::text AS name, cfgname || '_stem' AS stem FROM pg_ts_config
        WHERE cfgnamespace = 'pg_catalog'::regnamespace
          AND EXISTS (SELECT FROM pg_ts_dict WHERE dictname = cfgname || '_stem' AND dictnamespace = 'pg_catalog'::regnamespace)
    LOOP
        EXECUTE format('CREATE TEXT SEARCH DICTIONARY %I (TEMPLATE = pg_catalog.snowball, Language = %L)', 'search_' || known.stem, known.name);
    END LOOP;
    FOR known IN
        SELECT cfg.oid, cfgname::text AS name FROM pg_ts_config AS cfg
        WHERE cfgnamespace = 'pg_catalog'::regnamespace
          AND EXISTS (SELECT FROM pg_ts_dict WHERE dictname = 'search_' || cfgname || '_stem')
    LOOP
        EXECUTE format('CREATE TEXT SEARCH CONFIGURATION %I (COPY = pg_catalog.%I)', 'search_' || known.name, known.name);
        FOR stemmer IN
            SELECT DISTINCT dictname::text FROM pg_ts_config_map JOIN pg_ts_dict ON pg_ts_dict.oid = mapdict
            WHERE mapcfg = known.oid AND dictname LIKE '%\_stem'
        LOOP
            EXECUTE format('ALTER TEXT SEARCH CONFIGURATION %I ALTER MAPPING REPLACE pg_catalog.%I WITH %I',
                'search_' || known.name, stemmer, 'search_' || stemmer);
        END LOOP;
    END LOOP;
END $$;

-- ISO 639 codes of the languages that have one of these. A table, because regconfig columns stop pg_upgrade.
CREATE TABLE search_languages (code text PRIMARY KEY, configuration text NOT NULL);

INSERT INTO search_languages
SELECT code, 'search_' || language
FROM (VALUES
    ('ar', 'arabic'), ('hy', 'armenian'), ('eu', 'basque'), ('ca', 'catalan'), ('da', 'danish'), ('nl', 'dutch'),
    ('en', 'english'), ('et', 'estonian'), ('fi', 'finnish'), ('fr', 'french'), ('de', 'german'), ('el', 'greek'),
    ('hi', 'hindi'), ('hu', 'hungarian'), ('id', 'indonesian'), ('ga', 'irish'), ('it', 'italian'), ('lt', 'lithuanian'),
    ('ne', 'nepali'), ('no', 'norwegian'), ('nb', 'norwegian'), ('nn', 'norwegian'), ('pt', 'portuguese'),
    ('ro', 'romanian'), ('ru', 'russian'), ('sr', 'serbian'), ('es', 'spanish'), ('sv', 'swedish'), ('ta', 'tamil'),
    ('tr', 'turkish'), ('yi', 'yiddish')
) AS known (code, language)
WHERE EXISTS (SELECT FROM pg_ts_config WHERE cfgname = 'search_' || language);

-- How lines of a language (a BCP 47 tag; null: unknown) are read; `search_simple` where nothing better is known.
CREATE FUNCTION search_configuration(language text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path FROM CURRENT
RETURN coalesce((SELECT configuration FROM search_languages WHERE code = lower(split_part(language, '-', 1))), 'search_simple');

-- Text as it is indexed: punctuation is space, so that a word within an address or a tag is found by itself, and scripts that
-- don't put spaces between words are read character by character. domain/search.py has the same rules; marks of matches are
-- shown only where both agree.
CREATE FUNCTION searchable(text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(text) = length(text) THEN regexp_replace(text, '[\u0001-/:-@\[-`{-\u007f]', ' ', 'g') -- in half the time
ELSE regexp_replace(
    regexp_replace(
        normalize(text, NFC),
        '[\u0001-/:-@\[-`{-\u00a1\u00ab\u00b7\u00bb\u00bf\u05be\u060c\u061b-\u061f\u0964\u0965\u2000-\u206f\u3000-\u3004\u3007-\u3020\u30fb\ue000-\uf8ff\uff00-\uff0f\uff1a-\uff20]',
        ' ', 'g'),
    '([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff])',
    ' \1 ', 'g')
END;

-- A query in the language of web searches, for lines of one language or (null) of all; null where no word of it can be looked
-- for. Configurations that read it alike share a part.
CREATE FUNCTION search_query(language text, wanted text) RETURNS tsquery
LANGUAGE sql STABLE PARALLEL SAFE SET search_path FROM CURRENT
BEGIN ATOMIC
    SELECT string_agg(format('(%s) & (%s)', words, readers), ' | ')::tsquery
    FROM (
        SELECT words::text, string_agg(format('''@%s''', configuration), ' | ') AS readers
        FROM (
            SELECT configuration, websearch_to_tsquery(configuration::regconfig, wanted) AS words
            FROM (
                SELECT 'search_simple' AS configuration WHERE language IS NULL
                UNION SELECT configuration FROM search_languages WHERE language IS NULL
                UNION SELECT search_configuration(language) WHERE language IS NOT NULL
            ) AS readable
        ) AS parsed
        WHERE querytree(words) NOT IN ('', 'T')
        GROUP BY words::text
    ) AS grouped;
END;

CREATE TABLE search_lines (
    producer_id uuid NOT NULL,
    seq bigint NOT NULL,
    started_ms bigint NOT NULL,
    producer_started date NOT NULL,
    meeting_id text NOT NULL,
    speaker_identity text NOT NULL,
    language text,
    words tsvector NOT NULL,
    PRIMARY KEY (started_ms, producer_id, seq)
);

CREATE INDEX search_lines_by_meeting ON search_lines (meeting_id, started_ms, producer_id, seq);
CREATE INDEX search_lines_by_day ON search_lines (producer_started);
CREATE INDEX search_lines_words ON search_lines USING gin (words);

-- Positions of a meeting that are still to be indexed: above the one, up to the other. A row is there as soon as the lines are,
-- and not before, because the same transaction brings it: whoever works through these rows can't overtake a slow COMMIT.
CREATE TABLE search_due (
    queued_at timestamptz NOT NULL DEFAULT now(),
    meeting_id text NOT NULL,
    after_position bigint NOT NULL,
    last_position bigint NOT NULL,
    PRIMARY KEY (queued_at, meeting_id, last_position)
);

-- Once a statement, and so once a commit: whichever version of the service gives positions.
CREATE FUNCTION queue_first_positions() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $function$
BEGIN
    INSERT INTO search_due (meeting_id, after_position, last_position)
    SELECT meeting_id, 0, position FROM now_known WHERE position > 0;
    RETURN NULL;
END
$function$;

CREATE FUNCTION queue_next_positions() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $function$
BEGIN
    INSERT INTO search_due (meeting_id, after_position, last_position)
    SELECT meeting_id, before.position, now_known.position
    FROM now_known JOIN before USING (meeting_id) WHERE now_known.position > before.position;
    RETURN NULL;
END
$function$;

CREATE TRIGGER queue_first_positions AFTER INSERT ON meetings
REFERENCING NEW TABLE AS now_known FOR EACH STATEMENT EXECUTE FUNCTION queue_first_positions();
CREATE TRIGGER queue_next_positions AFTER UPDATE ON meetings
REFERENCING OLD TABLE AS before NEW TABLE AS now_known FOR EACH STATEMENT EXECUTE FUNCTION queue_next_positions();

-- What is stored already.
INSERT INTO search_due (queued_at, meeting_id, after_position, last_position)
SELECT coalesce((SELECT min(producer_started) FROM producers WHERE producers.meeting_id = meetings.meeting_id), now()),
       meeting_id, 0, position
FROM meetings WHERE position > 0;

-- Indexing and erasing lines of one meeting keep out of each other's way.
CREATE FUNCTION search_lock(meeting_id text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN hashtextextended('meetai-search-' || meeting_id, 0);

-- Whoever deletes lines deletes what the index says of them, in the same transaction. An index entry that is being made of such
-- a line is waited for, and one that isn't begun yet won't find the line.
CREATE FUNCTION forget_words() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $function$
BEGIN
    PERFORM pg_advisory_xact_lock(key) FROM (SELECT DISTINCT search_lock(meeting_id) AS key FROM gone ORDER BY key) AS keys;
    DELETE FROM search_lines USING gone
    WHERE search_lines.started_ms = gone.started_ms AND search_lines.producer_id = gone.producer_id
      AND search_lines.seq = gone.seq;
    RETURN NULL;
END
$function$;

CREATE TRIGGER forget_words AFTER DELETE ON lines
REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION forget_words();

-- Index what is due, the oldest first, at most so many lines: each one's words, and a mark of the configuration that they were
-- read with, which search_query asks for; returns how many positions that were. Any number of callers share
-- the work. The days of a meeting's producers are asked first, as everywhere, to leave the other partitions alone.
CREATE FUNCTION index_due_lines(at_most integer) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan AS $function$
DECLARE
    due record;
    days record;
    goal bigint;
    done integer := 0;
BEGIN
    FOR due IN
        SELECT * FROM search_due ORDER BY queued_at, meeting_id, last_position LIMIT 100 FOR UPDATE SKIP LOCKED
    LOOP
        CONTINUE WHEN NOT pg_try_advisory_xact_lock(search_lock(due.meeting_id));
        goal := least(due.last_position, due.after_position + at_most - done);
        SELECT min(producer_started) AS first, max(producer_started) AS last INTO days
        FROM producers WHERE producers.meeting_id = due.meeting_id;
        INSERT INTO search_lines
            (producer_id, seq, started_ms, producer_started, meeting_id, speaker_identity, language, words)
        SELECT producer_id, seq, started_ms, producer_started, meeting_id, speaker_identity, lower(language),
               to_tsvector(configuration::regconfig, searchable(text)) || array_to_tsvector(ARRAY['@' || configuration])
        FROM lines CROSS JOIN LATERAL (
            SELECT coalesce(
                (SELECT known.configuration FROM search_languages AS known WHERE code = lower(split_part(language, '-', 1))),
                'search_simple'
            ) AS configuration
        ) AS reading
        WHERE lines.meeting_id = due.meeting_id AND producer_started BETWEEN days.first AND days.last
          AND commit_position > due.after_position AND commit_position <= goal
        ON CONFLICT DO NOTHING;
        IF goal = due.last_position THEN
            DELETE FROM search_due
            WHERE queued_at = due.queued_at AND meeting_id = due.meeting_id AND last_position = due.last_position;
        ELSE
            UPDATE search_due SET after_position = goal
            WHERE queued_at = due.queued_at AND meeting_id = due.meeting_id AND last_position = due.last_position;
        END IF;
        done := done + goal - due.after_position;
        EXIT WHEN done >= at_most;
    END LOOP;
    RETURN done;
END
$function$;

-- Remove at most so many entries of days whose partitions are gone; returns how many.
CREATE FUNCTION sweep_search_lines(at_most integer) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT AS $function$
DECLARE
    oldest date;
    swept integer;
BEGIN
    SELECT min(to_date(right(relname, 8), 'YYYYMMDD')) INTO oldest
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'lines'::regclass AND relname ~ '^lines_\d{8}$';
    DELETE FROM search_lines WHERE (started_ms, producer_id, seq) IN (
        SELECT started_ms, producer_id, seq FROM search_lines AS entry
        WHERE producer_started < oldest AND NOT EXISTS (
            SELECT FROM lines
            WHERE lines.producer_started = entry.producer_started
              AND lines.producer_id = entry.producer_id AND lines.seq = entry.seq
        )
        LIMIT at_most
    );
    GET DIAGNOSTICS swept = ROW_COUNT;
    RETURN swept;
END
$function$;

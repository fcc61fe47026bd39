-- A meeting's tombstone is in the row that every commit of its lines locks and gets back: a commit and an erasure of the same
-- meeting can't miss one another (ADR 0022). `erased_producers`: those whose clocks were ahead, so that their ids don't tell
-- that they had started.
ALTER TABLE meetings
    ADD COLUMN erased_at timestamptz,
    ADD COLUMN erased_producers uuid[] NOT NULL DEFAULT '{}';

-- Numbers of a producer's lines that were erased, or would have been stored after the erasure.
ALTER TABLE producers ADD COLUMN erased int8multirange NOT NULL DEFAULT '{}';

-- What has been asked for; from the first commit on readers see nothing of a meeting whose erasure isn't finished.
CREATE TABLE erasures (
    meeting_id text PRIMARY KEY,
    actor text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    lines bigint NOT NULL DEFAULT 0,
    dead_letters bigint NOT NULL DEFAULT 0,
    finished_at timestamptz
);

CREATE INDEX erasures_unfinished ON erasures (requested_at) WHERE finished_at IS NULL;

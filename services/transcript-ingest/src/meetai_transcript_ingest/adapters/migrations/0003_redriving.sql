-- How often a dead letter was redriven and stayed, and who removed what.
ALTER TABLE dead_letters
    ADD COLUMN attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN attempted_at timestamptz;

-- Listing by meeting, and finding what an erasure has to remove.
CREATE INDEX dead_letters_by_meeting ON dead_letters (meeting_id, id);

-- What was removed on somebody's order: ids and counts, never text. Rows are only ever added.
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    meeting_id text,
    counts jsonb NOT NULL
);

CREATE INDEX audit_by_meeting ON audit (meeting_id, id);

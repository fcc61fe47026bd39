-- What is known of each room that LiveKit had: by its webhooks, and by looking. A row is written when something is learnt and
-- once a look; `told_by` names the room under which its meeting's end was told (ADR 0060).
CREATE TABLE rooms (
    sid             text        PRIMARY KEY,
    name            text        NOT NULL,
    heard_at        timestamptz NOT NULL DEFAULT now(),
    started_at      timestamptz NOT NULL,
    seen_at         timestamptz NOT NULL,
    announced_at    timestamptz,
    agent_joined_at timestamptz,
    metadata        text,
    finished_at     timestamptz,
    told_by         text,
    missing_since   timestamptz
) WITH (fillfactor = 70);

-- The rooms of one name, in their order; those whose end is still to be told.
CREATE INDEX rooms_name ON rooms (name, started_at);
CREATE INDEX rooms_open ON rooms (started_at) WHERE told_by IS NULL;

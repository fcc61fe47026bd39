-- Events decided here and not yet on the events stream. `id` is deterministic, so that one fact is one row, also long after it
-- was sent: that is what makes it once a room sid (ADR 0021).
CREATE TABLE outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    name text NOT NULL,
    occurred_at timestamptz NOT NULL,
    data jsonb NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz
);

CREATE INDEX outbox_due ON outbox (due_at) WHERE sent_at IS NULL;

-- All producers of a room, asked when one of them closes. A room sid never changes, so updates of a producer stay on their page.
CREATE INDEX producers_by_room ON producers (room_sid);

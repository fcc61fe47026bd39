-- Webhooks as LiveKit sent them, without credentials. The primary key makes a repeated delivery a no-op.
CREATE TABLE inbox (
    id          text        PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    event       text        NOT NULL,
    room_sid    text,
    room_name   text,
    body        jsonb       NOT NULL
);

-- Events for Inngest. `id` is deterministic, so that one fact told by two webhooks, or by a webhook and something else,
-- is one row; `position` is the order in which they came.
CREATE TABLE outbox (
    position        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              text        NOT NULL UNIQUE,
    name            text        NOT NULL,
    source          text        NOT NULL,
    meeting_id      text,
    room_sid        text,
    occurred_at     timestamptz NOT NULL,
    received_at     timestamptz NOT NULL DEFAULT now(),
    data            jsonb       NOT NULL,
    state           text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'dead')),
    attempts        integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    sent_at         timestamptz,
    last_error      text
);

-- What the relay looks for: due events, and whether an earlier one of the same room is still on its way.
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE state = 'pending';
CREATE INDEX outbox_room ON outbox (room_sid, position) WHERE state = 'pending';
-- The backlog, and the ledger of one meeting.
CREATE INDEX outbox_undelivered ON outbox (state, received_at) WHERE state <> 'sent';
CREATE INDEX outbox_meeting ON outbox (meeting_id, position);

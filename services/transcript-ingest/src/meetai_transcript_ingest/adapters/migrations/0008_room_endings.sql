-- Rooms that a commit may have completed. They are looked at when nothing of the kind has come for a while (ADR 0027).
CREATE TABLE room_endings (
    room_sid text PRIMARY KEY,
    ended_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX room_endings_by_time ON room_endings (ended_at);

-- One summary a meeting, by whoever may write one. It holds what people said, in other words: an erasure removes it, and it
-- goes with the oldest day that it was made of.
CREATE TABLE summaries (
    meeting_id text PRIMARY KEY,
    summary jsonb NOT NULL,
    stored_at timestamptz NOT NULL,
    oldest_day date NOT NULL
);

CREATE INDEX summaries_by_day ON summaries (oldest_day);

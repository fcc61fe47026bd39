-- An event's trace (W3C Trace Context) goes on where a replica claims it. Older replicas know neither column, and need neither.
-- asked_at: when it was last to be delivered anew (a replay); NULL for since it was received. How long an event has waited counts from then.
ALTER TABLE outbox
    ADD COLUMN traceparent text,
    ADD COLUMN asked_at timestamptz;

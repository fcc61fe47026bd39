-- What retention looks for: whatever is old enough. Events that are pending are never removed.
CREATE INDEX inbox_received ON inbox (received_at);
CREATE INDEX outbox_received ON outbox (received_at);
CREATE INDEX rooms_told ON rooms (seen_at) WHERE told_by IS NOT NULL;

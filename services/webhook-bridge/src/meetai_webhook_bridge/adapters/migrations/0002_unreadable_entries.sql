-- Entries of the events stream that aren't events: the bytes of what the outbox lists as `dead` under the same id. An unknown version
-- can be put on the stream again after the upgrade.
CREATE TABLE unreadable_entries (
    id      text  PRIMARY KEY,
    payload bytea NOT NULL
);

-- How far an erasure has looked through the letters that don't tell whose they are, so that it can go on where another was killed.
ALTER TABLE erasures ADD COLUMN unread_after bigint NOT NULL DEFAULT 0;

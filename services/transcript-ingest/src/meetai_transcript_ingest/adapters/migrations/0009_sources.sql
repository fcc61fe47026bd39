-- What a line was heard from; NULL is the speaker's microphone, as in all that came before this migration and in what a replica of
-- the version before it still writes. No default, because a NULL takes no room in a row.
ALTER TABLE lines ADD COLUMN source text;

-- Queuing what is to be indexed costs each meeting of a commit the same, however many there are.

-- A join of the two transition tables was planned once a session, for the few meetings of its first commits, as a nested loop:
-- 200 meetings then cost 40,000 comparisons, two thirds of the statement that declares them (ADR 0024).
CREATE OR REPLACE FUNCTION queue_next_positions() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $function$
BEGIN
    INSERT INTO search_due (meeting_id, after_position, last_position)
    SELECT meeting_id, min(position), max(position)
    FROM (SELECT meeting_id, position FROM before UNION ALL SELECT meeting_id, position FROM now_known) AS known
    GROUP BY meeting_id
    HAVING max(position) > min(position);
    RETURN NULL;
END
$function$;

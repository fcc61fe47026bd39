"""The composition roots: `worker` of the process that is started, `job` of each meeting's. Neither imports what only the other needs."""

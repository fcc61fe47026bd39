"""Values, rules and errors. No I/O, no clock: time and randomness come in as arguments."""

"""Values, rules and errors. No I/O and no clock."""

"""What the service does, in the order in which it must be done. Knows no HTTP, no SQL and no SDK."""

"""Transcript lines from Redis Streams into PostgreSQL, once each and in order, and read back with a proof of completeness.

Read it top-down: `app` puts it together; the drivers `consumer` (stream) and `http` (readers) call `usecases`, which work
over `ports`; `adapters` are those ports on Redis, PostgreSQL and Prometheus; `domain` holds the rules and does no I/O.
"""

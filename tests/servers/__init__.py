"""Servers for integration tests: `postgres_url` and `redis_url` to use, `postgres_server` and `redis_server` to break.

The first two come from testcontainers where a Docker engine answers, else from the embedded servers; the last two are
always embedded, for a test stops, freezes and restarts them. `tests/conftest.py` makes these fixtures known everywhere.
"""

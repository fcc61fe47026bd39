"""What all four services share, and nothing that only one of them needs.

- `settings`, `secret`: the environment, read once into a frozen Struct.
- `logging`: JSON lines without text, tokens or bodies.
- `http`: a Litestar application with health, metrics, OpenAPI and problem+json in place; `problems`, `health`, `metrics`
  are its parts, `paths` keeps any meeting id addressable.
- `tracing`: OpenTelemetry spans, where an endpoint is set.
- `auth`: service keys and their scopes.
- `server`, `background`: a process that starts, is watched, and ends cleanly on SIGTERM.
- `backoff`: how long to wait before trying again; `patience`: trying until it works.
- `postgres` (extra `postgres`): pool, named queries, migrations.
- `streams` (extra `redis`): a consumer group on Redis Streams.
"""

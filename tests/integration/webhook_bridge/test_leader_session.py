"""The session that holds the lead, on a real server."""

from __future__ import annotations

from meetai_webhook_bridge.adapters.postgres_leader import open_session


async def test_the_server_ends_the_session_soon_when_its_client_is_gone(postgres_url: str) -> None:
    """The server frees the lock, so it is the server whose keepalives count: by itself it would wait for two hours."""
    wanted = {
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "10000",
    }
    async with await open_session(postgres_url, application="test") as connection:
        cursor = await connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(wanted)])
        assert dict(await cursor.fetchall()) == wanted

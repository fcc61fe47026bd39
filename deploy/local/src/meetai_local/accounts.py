"""Which account a server runs as, and what that account must be able to reach.

Owns the one case that needs it: PostgreSQL refuses to run as root, as in most containers. Must not change anything when
the starter isn't root.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import TypedDict

UNPRIVILEGED = "nobody"  # exists on every Linux and macOS, so that nothing has to be created


def unprivileged_account() -> str | None:
    """The account for a program that refuses root, or None when the starter isn't root anyway."""
    return UNPRIVILEGED if os.geteuid() == 0 else None


class Identity(TypedDict, total=False):
    """Arguments of `subprocess.Popen` that choose the account. Its groups go with it: root's would bar it from paths."""

    user: int
    group: int
    extra_groups: list[int]


def identity(account: str | None) -> Identity:
    """How to start a process as this account; None keeps the starter's own."""
    if account is None:
        return {}
    entry = pwd.getpwnam(account)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def give_to(account: str | None, *paths: Path) -> None:
    """Make the account the owner of these paths, and let it pass through (not list) the folders above them."""
    if account is None:
        return
    entry = pwd.getpwnam(account)
    for path in paths:
        os.chown(path, entry.pw_uid, entry.pw_gid)
        let_pass(path)


def let_pass(path: Path) -> None:
    """Let every account pass through the folders above `path`: the x bit alone, never reading."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)

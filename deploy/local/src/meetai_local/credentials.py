"""The secrets of one local stack: made at its first start, kept in one file that only its owner can read.

There are no default secrets, not even here: what runs on a developer's machine is reachable by all that runs there.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

import msgspec
from msgspec import Struct

from meetai_local.errors import StackError

SCOPES = (
    *("tokens:host", "meetings:admin"),
    *("transcripts:read", "transcripts:admin", "transcripts:erase", "transcripts:summarise"),
    *("events:read", "events:replay", "events:erase"),
)


class Credentials(Struct, frozen=True, kw_only=True):
    """Every secret of the stack."""

    livekit_api_key: str
    livekit_api_secret: str
    postgres_password: str
    redis_password: str
    service_key: str
    inngest_event_key: str
    inngest_signing_key: str

    def __repr__(self) -> str:
        return "Credentials(…)"

    def hashed_service_keys(self) -> str:
        """The setting `SERVICE_KEYS`: what the services hold instead of the key itself."""
        digest = hashlib.sha256(self.service_key.encode()).hexdigest()
        return f"local:{digest}:{'+'.join(SCOPES)}"

    @classmethod
    def new(cls) -> Credentials:
        """Random ones."""
        return cls(
            livekit_api_key=f"local{secrets.token_hex(4)}",
            livekit_api_secret=secrets.token_urlsafe(36),  # 48 characters; LiveKit wants 32
            postgres_password=secrets.token_urlsafe(24),
            redis_password=secrets.token_urlsafe(24),
            service_key=secrets.token_urlsafe(32),
            inngest_event_key=secrets.token_hex(16),
            inngest_signing_key=f"signkey-test-{secrets.token_hex(32)}",
        )


def load_or_make(path: Path) -> Credentials:
    """The credentials kept at `path`; made there if absent.

    Raises:
        StackError: The file is there and cannot be read: the databases were made with what it held.
    """
    if path.exists():
        try:
            return msgspec.json.decode(path.read_bytes(), type=Credentials)
        except (OSError, msgspec.DecodeError) as error:
            raise StackError(f"{path} cannot be read ({error}); `make clean` starts afresh") from error
    credentials = Credentials.new()
    write_private(path, msgspec.json.format(msgspec.json.encode(credentials)))
    return credentials


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 600 in one step: a reader sees all of it or nothing."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.replace(path)

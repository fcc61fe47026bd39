"""What all that talk to PostgreSQL here share: the schema, the queries, and which errors mean "later" and which "never"."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

from meetai_servicekit.postgres import load_queries
from meetai_transcript_ingest.domain.errors import RefusedError, TryLaterError

SCHEMA: Final = "transcript_ingest"
MIGRATIONS: Final = Path(__file__).parent / "migrations"
QUERIES: Final = load_queries(Path(__file__).parent / "queries.sql")

NEVER: Final = ("22", "54")
"""SQLSTATE classes of data that is wrong or too large in itself (PostgreSQL manual, appendix A).

Not class 23: this schema has no constraint that a line could break, but a row on its way to the default partition fails with
23514 when its day's partition is attached at that moment, and is stored on the next try. Whatever is not known to be the
data's fault is held, never dropped.
"""


@contextmanager
def postgres_errors_translated() -> Generator[None]:
    """Raise `TryLaterError` or `RefusedError` for whatever psycopg raises; messages, which may quote data, are left out."""
    try:
        yield
    except psycopg.Error as error:
        name = f"{type(error).__name__} ({error.sqlstate or 'client'})"
        client_side = error.sqlstate is None and isinstance(error, psycopg.DataError)
        if client_side or (error.sqlstate or "")[:2] in NEVER:
            raise RefusedError(f"PostgreSQL refuses it: {name}") from error
        raise TryLaterError(f"PostgreSQL: {name}") from error
    except UnicodeEncodeError as error:
        raise RefusedError("PostgreSQL refuses it: lone surrogates") from error
    except OSError as error:  # TimeoutError is one
        raise TryLaterError(f"PostgreSQL: {type(error).__name__}") from error

"""`SHA256SUMS`, as `sha256sum --check` reads it."""

from __future__ import annotations

import hashlib
from pathlib import Path


def write_sums(folder: Path) -> list[Path]:
    """Write the sums of all files of a folder; returns these files."""
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.name != "SHA256SUMS"]
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (folder / "SHA256SUMS").write_text("".join(lines))
    return files

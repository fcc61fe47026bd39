"""Every example as bytes, which other programs rely on.

`python -m tests.contract.golden_files` writes the files of messages that have none yet; it never changes one. To change a contract,
delete the file by hand and say why in the commit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.contract.messages import BATCHES, MESSAGES

from meetai_contracts import codec, transcript

GOLDEN: Final = Path(__file__).parent / "golden"


def golden_json(name: str) -> bytes:
    """The bytes of a JSON message."""
    return (GOLDEN / f"{name}.json").read_bytes().removesuffix(b"\n")


def golden_msgpack(name: str) -> bytes:
    """The bytes of a msgpack message."""
    return bytes.fromhex((GOLDEN / f"{name}.msgpack.hex").read_text())


def write_missing() -> None:
    """Write the golden files of messages that have none yet."""
    GOLDEN.mkdir(exist_ok=True)
    for name, message in MESSAGES.items():
        _write_once(GOLDEN / f"{name}.json", codec.encode_json(message).decode())
    for name, batch in BATCHES.items():
        digits = transcript.encode_batch(batch).hex()
        _write_once(GOLDEN / f"{name}.msgpack.hex", "\n".join(digits[i : i + 96] for i in range(0, len(digits), 96)))


def _write_once(file: Path, text: str) -> None:
    if not file.exists():
        file.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    write_missing()

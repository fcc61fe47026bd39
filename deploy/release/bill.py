"""Bills of materials (CycloneDX 1.5), one a service, from the lock file: what exactly is installed, with hashes."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from deploy.release.source import SERVICES, Source, environment, run, uv

Bill = dict[str, Any]
_NAMESPACE: Final = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""For URLs (RFC 9562, appendix A)."""


def write_bills(source: Source, into: Path) -> dict[str, Bill]:
    """Write them; returns each service's. Two of one commit are the same bytes: their time and number are the commit's.

    The extra `local` of the agent is in its bill, marked by the markers that uv writes.
    """
    bills: dict[str, Bill] = {}
    for service in SERVICES:
        command = (uv(), "export", "--frozen", "--quiet", "--format", "cyclonedx1.5", "--no-dev", "--all-extras")
        exported = run(
            *command,
            "--package",
            f"meetai-{service}",
            "--preview-features",
            "sbom-export",
            folder=source.folder,
            environment=environment(),
        )
        bill: Bill = msgspec.json.decode(exported)
        moment = datetime.fromtimestamp(source.epoch, UTC).isoformat().replace("+00:00", "Z")
        bill["metadata"]["timestamp"] = moment
        bill["metadata"]["component"]["version"] = source.version
        bill["serialNumber"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{service}@{source.commit}')}"
        for component in bill["components"]:
            if component["name"].startswith("meetai-"):
                component["version"] = source.version
        file = into / f"meetai_{service.replace('-', '_')}-{source.version}.cdx.json"
        file.write_bytes(msgspec.json.format(msgspec.json.encode(bill), indent=2))
        bills[service] = bill
    return bills

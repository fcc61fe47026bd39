"""Files of the charts that are made from others: `python -m deploy.charts.checks.written [--check]`.

Parts of values.yaml that several charts share, the values' schemas and the READMEs. Owns no text of its own.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.charts.checks.documents import readme
from deploy.charts.checks.layout import CHARTS, INSTALLED, ROOT, SHARED, UMBRELLA
from deploy.charts.checks.schemas import schema_of

REGION: Final = re.compile(r"(# >>> \.\./shared/(\w+)\.yaml: [^\n]*\n).*?(# <<<\n)", re.DOTALL)


def main(arguments: list[str]) -> int:
    """Write what is stale; with `--check` only name it, and return 1."""
    parser = argparse.ArgumentParser(prog="written", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if something is stale")
    check: bool = parser.parse_args(arguments).check
    stale: list[Path] = []
    for wanted in (shared_values, schemas, readmes):  # each stands on what those before it have written
        for path, text in wanted():
            if (path.read_text() if path.exists() else None) == text:
                continue
            stale.append(path)
            if not check:
                path.write_text(text)
    for path in stale:
        print(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
    if check and stale:
        print("run `make charts-write`", file=sys.stderr)
    return int(check and bool(stale))


def shared_values() -> Iterator[tuple[Path, str]]:
    """Each values.yaml, its marked regions replaced by the files that they name."""
    for chart in INSTALLED:
        path = CHARTS / chart / "values.yaml"
        yield path, REGION.sub(lambda m: m[1] + (SHARED / f"{m[2]}.yaml").read_text() + m[3], path.read_text())


def schemas() -> Iterator[tuple[Path, str]]:
    """Each values.schema.json."""
    for chart in INSTALLED:
        schema = schema_of(chart)
        properties = [f"  {json.dumps(key)}: {json.dumps(of_key)}" for key, of_key in schema.pop("properties").items()]
        head = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in schema.items()]
        text = "\n".join(["{", *head, ' "properties": {', ",\n".join(properties), " }", "}"])
        yield CHARTS / chart / "values.schema.json", text + "\n"


def readmes() -> Iterator[tuple[Path, str]]:
    """Each README.md."""
    for chart in INSTALLED:
        yield CHARTS / chart / "README.md", readme(CHARTS / chart, is_umbrella=chart == UMBRELLA)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

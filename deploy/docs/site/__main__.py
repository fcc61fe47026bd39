"""`python -m deploy.docs.site`: write the pages, build the site, check that it needs nothing from elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from deploy.docs.site.gather import gather
from deploy.docs.site.navigation import arrange, write_configuration
from deploy.docs.site.offline import loaded_from_elsewhere
from deploy.docs.site.page import REPOSITORY, Problems

SOURCES: Final = REPOSITORY / ".local" / "site-sources"
SITE: Final = REPOSITORY / ".local" / "site"
BUILD_SECONDS: Final = 300


def build(site: Path = SITE, sources: Path = SOURCES) -> list[str]:
    """Write the site; returns what is wrong with it, a line each."""
    try:
        pages = gather()
        sections = arrange(pages)
    except Problems as problems:
        return problems.lines
    shutil.rmtree(sources, ignore_errors=True)
    for page in pages:
        page.write(sources / "pages")
    configuration = write_configuration(sources, site, sections)
    # Not --quiet: it drops the warnings before --strict counts them (mkdocs 1.6.1).
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(configuration)]
    ended = subprocess.run(command, timeout=BUILD_SECONDS, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        return [line for line in ended.stderr.splitlines() if not line.startswith("INFO ")]
    return loaded_from_elsewhere(site)


if __name__ == "__main__":
    found = build()
    sys.stderr.write("".join(f"docs: {line}\n" for line in found))
    if not found:
        sys.stdout.write(f"{(SITE / 'index.html').relative_to(REPOSITORY)}\n")
    sys.exit(1 if found else 0)

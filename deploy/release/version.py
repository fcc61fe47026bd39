"""`python -m deploy.release.version VERSION`: set the version of everything. `make version` locks afterwards."""

from __future__ import annotations

import sys

from deploy.release.source import REPOSITORY, set_version

if __name__ == "__main__":
    try:
        set_version(REPOSITORY, sys.argv[1])
    except (IndexError, ValueError) as error:
        sys.stderr.write(f"version: {error if isinstance(error, ValueError) else 'VERSION=1.2.3 is required'}\n")
        sys.exit(2)

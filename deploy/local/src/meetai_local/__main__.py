"""`python -m meetai_local up | down | status | demo`."""

import sys

from meetai_local.app import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

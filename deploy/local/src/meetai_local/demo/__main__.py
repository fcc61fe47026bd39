"""`python -m meetai_local.demo --speakers N`, the same as `python -m meetai_local demo --speakers N`."""

import sys

from meetai_local.demo.run import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

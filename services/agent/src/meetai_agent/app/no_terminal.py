"""Imported first, by the worker and by its fork server: they don't load what is for a terminal.

structlog loads rich wherever it is installed, and litestar has it installed, to colour tracebacks that nobody sees here: 4 MB in each.
"""

from __future__ import annotations

import sys

sys.modules["rich"] = None  # type: ignore[assignment]  # as the import system has it: not to be found

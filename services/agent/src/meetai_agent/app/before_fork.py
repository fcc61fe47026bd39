"""Imported by the framework's fork server before it makes the first job's process: what all of them need, loaded once.

A page of memory that is written to after the fork is copied, so what each process would load by itself costs as often as there
are meetings. In PSS, as `make bench` measures: `job` saves a meeting 27 MB, the rest 6 MB with Deepgram. Nothing here
may start a thread, a loop or a connection: they don't survive a fork.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module

from livekit import local_inference

from meetai_agent.adapters.providers.modules import provider_modules
from meetai_agent.adapters.providers.responders import OFF as NO_RESPONDER
from meetai_agent.app.job import job_settings
from meetai_servicekit.settings import SettingsError

# The detector's weights, 2 MB. The framework would load them only with the 244 MB of another model (ipc/_preload.py at 1.8.9).
local_inference.init_vad()
with suppress(SettingsError):  # the worker has named them; here somebody only imports this
    talking = [] if job_settings().llm == NO_RESPONDER else ["meetai_agent.app.talking"]
    for module in [*provider_modules(job_settings().providers), *talking]:
        with suppress(Exception):  # the process that needs it says what is wrong with it
            import_module(module)

# CPython keeps the attributes that were looked up last, 4,096 of them, and counts a reference to each one's name. Importing has filled that
# with names that no job asks for, and every lookup in a job would write to the page of one of them as it puts it out: 1 MB a meeting.
os.register_at_fork(before=sys._clear_type_cache)  # noqa: SLF001 - no other name; 3.12's names aren't counted

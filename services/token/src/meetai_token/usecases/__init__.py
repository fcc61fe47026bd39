"""What happens at the door.

- `prepare_room`: the room is made right, whoever comes first.
- `admit_person`: then the person gets a token.
- `rule_meeting`: who is there, who has to leave, and the end.

Owns the order of the steps and what concurrent callers may not do twice. Must not know HTTP or LiveKit's API.
"""

from __future__ import annotations

from meetai_token.usecases.admit_person import Admission, AdmitPerson
from meetai_token.usecases.prepare_room import PrepareRoom
from meetai_token.usecases.rule_meeting import RuleMeeting

__all__ = ["Admission", "AdmitPerson", "PrepareRoom", "RuleMeeting"]

"""The inbox in memory keeps the promises that the real one keeps."""

from __future__ import annotations

import pytest
from tests.unit.webhook_bridge.fakes import FakeClock
from tests.unit.webhook_bridge.inbox_suite import InboxSuite
from tests.unit.webhook_bridge.ledger_suite import LedgerSuite
from tests.unit.webhook_bridge.memory_inbox import MemoryInbox
from tests.unit.webhook_bridge.rooms_suite import RoomsSuite


class TestMemoryInbox(InboxSuite, RoomsSuite, LedgerSuite):
    @pytest.fixture
    def store(self) -> MemoryInbox:
        return MemoryInbox(FakeClock())

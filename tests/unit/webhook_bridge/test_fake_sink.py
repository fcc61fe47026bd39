"""The fake sink keeps the promises that Inngest's keeps."""

from __future__ import annotations

import pytest
from tests.unit.webhook_bridge.fakes import FakeSink
from tests.unit.webhook_bridge.sink_suite import SinkSuite


class FakeTarget:
    def __init__(self, sink: FakeSink) -> None:
        self._sink = sink

    @property
    def ids(self) -> list[str]:
        return [event.id for event in self._sink.taken]

    def fail_once(self) -> None:
        self._sink.failures.append("timeout")


class TestFakeSink(SinkSuite):
    @pytest.fixture
    def sink(self) -> FakeSink:
        return FakeSink()

    @pytest.fixture
    def target(self, sink: FakeSink) -> FakeTarget:
        return FakeTarget(sink)

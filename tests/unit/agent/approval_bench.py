"""Approvals with three people, and nothing outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.agent.approval_fakes import ApprovalBench, Shown
from tests.waiting import until


@pytest.fixture
async def bench() -> AsyncIterator[ApprovalBench]:
    before = asyncio.all_tasks()
    bench = ApprovalBench("ada", "bo", "cleo")
    yield bench
    await bench.close()
    assert asyncio.all_tasks() <= before | {task for task in [asyncio.current_task()] if task}, "tasks are left"
    assert bench.participants.subscribers == 0


async def popup(bench: ApprovalBench, identity: str = "ada", number: int = 1) -> Shown:
    """The person's popup of this number."""
    await until(lambda: len(bench.popups.shown[identity]) >= number)
    return bench.popups.shown[identity][number - 1]

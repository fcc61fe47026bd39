"""What every spool must do: the fake in memory and the files on disk pass the same tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest
from tests.unit.agent.samples import LONGEST_TEXT, WIDEST_ID, WIDEST_SPEAKER, line, new_producer

from meetai_agent.domain.batches import Producer
from meetai_agent.ports import DeadSpool, Spool
from meetai_contracts.transcript import TranscriptLine

LIMITS = {"max_lines": 250, "max_bytes": 248 * 1024}


class Spools(Protocol):
    """A place for spools."""

    def open(self, producer: Producer, *, max_bytes: int = 64 * 1024 * 1024) -> Spool:
        """The spool of a job that starts here."""

    def claim(self) -> Sequence[DeadSpool]:
        """The spools of dead jobs."""


def replayed(dead: DeadSpool) -> list[TranscriptLine]:
    """What a replay reads: everything after the acknowledged, batch by batch."""
    lines: list[TranscriptLine] = []
    first, offset = dead.acknowledged_seq + 1, dead.first_offset
    while True:
        found, rest = dead.read(first, dead.last_seq, offset, max_lines=3, max_bytes=248 * 1024)
        lines += found
        if rest is None:
            return lines
        first, offset = found[-1].seq + 1, rest


class SpoolSuite:
    """Inherit, and give a `spools` fixture."""

    @pytest.fixture
    def spools(self) -> Spools:
        raise NotImplementedError

    def test_lines_are_there_when_their_job_died(self, spools: Spools) -> None:
        """All of them, whole and in order, under the producer that wrote them."""
        producer = new_producer(WIDEST_ID, WIDEST_ID)
        spool = spools.open(producer)
        lines = [line(producer, seq, LONGEST_TEXT, WIDEST_SPEAKER) for seq in range(1, 9)]
        assert all(spool.append(one) is not None for one in lines)
        spool.release()
        [dead] = spools.claim()
        assert (dead.producer, dead.acknowledged_seq, dead.last_seq) == (producer, 0, 8)
        assert replayed(dead) == lines

    def test_a_living_jobs_spool_is_not_claimed_when_the_worker_looks(self, spools: Spools) -> None:
        """Nor one that another sweep has claimed already."""
        producer = new_producer()
        spool = spools.open(producer)
        spool.append(line(producer, 1))
        assert list(spools.claim()) == []
        spool.release()
        assert len(spools.claim()) == 1
        assert list(spools.claim()) == []

    def test_a_spool_is_claimed_again_when_its_replay_was_cut_off(self, spools: Spools) -> None:
        """Released without removal, everything is still there."""
        producer = new_producer()
        spool = spools.open(producer)
        spool.append(line(producer, 1))
        spool.release()
        [dead] = spools.claim()
        dead.acknowledge(1)
        dead.release()
        [again] = spools.claim()
        assert again.producer == producer

    def test_nothing_is_left_when_a_spool_was_removed(self, spools: Spools) -> None:
        """Neither by its job nor by a replay, which may both do it twice."""
        first, second = new_producer(), new_producer()
        spool, other = spools.open(first), spools.open(second)
        spool.remove()
        spool.remove()
        other.release()
        [dead] = spools.claim()
        dead.remove()
        dead.remove()
        dead.release()
        assert list(spools.claim()) == []

    def test_acknowledged_lines_are_not_replayed_when_others_wait(self, spools: Spools) -> None:
        """A replay begins after the last acknowledged line."""
        producer = new_producer()
        spool = spools.open(producer)
        for seq in range(1, 8):
            spool.append(line(producer, seq))
        spool.acknowledge(4)
        spool.append(line(producer, 8))
        spool.release()
        [dead] = spools.claim()
        assert dead.acknowledged_seq == 4
        assert [one.seq for one in replayed(dead)] == [5, 6, 7, 8]

    def test_the_last_number_is_known_when_everything_was_acknowledged(self, spools: Spools) -> None:
        """A replay then has nothing to bring but the producer's end."""
        producer = new_producer()
        spool = spools.open(producer)
        spool.append(line(producer, 1))
        spool.append(line(producer, 2))
        spool.acknowledge(2)
        spool.release()
        [dead] = spools.claim()
        assert dead.acknowledged_seq == 2
        assert replayed(dead) == []

    @pytest.mark.parametrize("acknowledged", [0, 2])
    def test_a_number_is_known_when_its_line_found_no_room(self, spools: Spools, acknowledged: int) -> None:
        """So that a replay can name it lost."""
        producer = new_producer()
        spool = spools.open(producer, max_bytes=65_536)
        taken = [spool.append(line(producer, seq, LONGEST_TEXT)) is not None for seq in range(1, 8)]
        assert taken == [True] * 3 + [False] * 4
        if acknowledged:
            spool.acknowledge(acknowledged)
        spool.release()
        [dead] = spools.claim()
        assert dead.last_seq == 7
        assert [one.seq for one in replayed(dead)] == list(range(acknowledged + 1, 4))

    def test_a_number_is_known_when_it_never_had_a_line(self, spools: Spools) -> None:
        """The last one, and one with lines after it; the lines are as they were."""
        producer = new_producer()
        spool = spools.open(producer)
        spool.append(line(producer, 1))
        spool.skip(2)
        spool.append(line(producer, 3))
        spool.skip(4)
        spool.acknowledge(1)
        spool.release()
        [dead] = spools.claim()
        assert (dead.acknowledged_seq, dead.last_seq) == (1, 4)
        assert [one.seq for one in replayed(dead)] == [3]

    def test_lines_are_taken_again_when_a_full_spool_was_emptied(self, spools: Spools) -> None:
        """Acknowledging everything makes room."""
        producer = new_producer()
        spool = spools.open(producer, max_bytes=65_536)
        while spool.append(line(producer, 1, LONGEST_TEXT)) is not None:
            pass
        spool.acknowledge(1)
        offset = spool.append(line(producer, 2, LONGEST_TEXT))
        assert offset is not None
        assert spool.read(2, 2, offset, **LIMITS) == ([line(producer, 2, LONGEST_TEXT)], None)

    def test_only_what_was_asked_for_is_read_when_there_is_more(self, spools: Spools) -> None:
        """From a line to a line, within the limits, and at least one."""
        producer = new_producer()
        spool = spools.open(producer)
        offsets = [spool.append(line(producer, seq, LONGEST_TEXT)) for seq in range(1, 30)]
        start = offsets[4]
        assert start is not None
        some, rest = spool.read(6, 9, start, max_lines=250, max_bytes=2**20)
        assert ([one.seq for one in some], rest) == ([6, 7, 8, 9], None)
        some, rest = spool.read(5, 29, start, max_lines=2, max_bytes=2**20)
        assert ([one.seq for one in some], rest) == ([5, 6], offsets[6])
        some, rest = spool.read(5, 29, start, max_lines=250, max_bytes=60_000)
        assert ([one.seq for one in some], rest) == ([5, 6, 7], offsets[7])
        some, rest = spool.read(5, 29, start, max_lines=250, max_bytes=1)
        assert ([one.seq for one in some], rest) == ([5], offsets[5])

    def test_nothing_is_kept_when_a_spool_was_released(self, spools: Spools) -> None:
        """It belongs to the worker from then on."""
        producer = new_producer()
        spool = spools.open(producer)
        spool.append(line(producer, 1))
        spool.release()
        assert spool.append(line(producer, 2)) is None
        [dead] = spools.claim()
        assert [one.seq for one in replayed(dead)] == [1]

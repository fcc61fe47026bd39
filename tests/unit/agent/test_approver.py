"""Whom the agent means when it names somebody."""

from __future__ import annotations

import pytest

from meetai_agent.domain.approver import Person, find_approver
from meetai_agent.domain.errors import ApproverUnclearError

ADA = Person("u-1", "Ada Lovelace", 1)
BO = Person("u-2", "Bo", 2)
OTHER_ADA = Person("u-3", "Ada Yonath", 3)
MALLORY = Person("u-4", "u-2", 4)
NAMELESS = Person("u-5", "", 5)


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("u-1", ADA),
        (" u-2 ", BO),
        ("Bo", BO),
        ("BO", BO),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER B}o", BO),
        ("ada  lovelace", ADA),
        ("Ada", ADA),
        ("Lovelace", ADA),
    ],
)
def test_one_person_is_found_when_an_identity_or_a_name_fits_them_alone(named: str, meant: Person) -> None:
    """Names without their case, and parts of names, as people say them."""
    assert find_approver(named, [ADA, BO, NAMELESS]) is meant


def test_the_one_of_that_identity_is_meant_when_another_took_it_for_a_name() -> None:
    """A display name can be anything; an identity is given by the application."""
    assert find_approver("u-2", [MALLORY, BO]) is BO


def test_the_whole_name_is_meant_when_it_is_also_a_part_of_another() -> None:
    """Ada is Ada, also beside Ada Lovelace."""
    ada = Person("u-9", "Ada", 9)
    assert find_approver("ada", [ADA, ada, OTHER_ADA]) is ada


@pytest.mark.parametrize("named", ["Ada", "ada"])
def test_the_agent_is_told_whom_to_tell_apart_when_several_fit(named: str) -> None:
    """With their identities, so that the next call can name one."""
    with pytest.raises(ApproverUnclearError, match=r"Ada Lovelace \(identity u-1\), Ada Yonath \(identity u-3\)"):
        find_approver(named, [ADA, BO, OTHER_ADA])


@pytest.mark.parametrize("named", ["Cleo", "", "  ", "Adam", "Bobo", "u-"])
def test_the_agent_is_told_who_there_is_when_nobody_fits(named: str) -> None:
    """Nobody is guessed at."""
    with pytest.raises(ApproverUnclearError, match=r"There are: Ada Lovelace \(identity u-1\), Bo \(identity u-2\)"):
        find_approver(named, [ADA, BO])


def test_the_agent_is_told_so_when_nobody_is_there() -> None:
    """A room with telephones and agents only, perhaps."""
    with pytest.raises(ApproverUnclearError, match="Nobody is in the meeting"):
        find_approver("Ada", [])

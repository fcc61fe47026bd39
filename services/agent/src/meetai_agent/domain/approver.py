"""Who is meant when the agent names a person: an identity, or a display name that fits one person alone.

Pure. A name that fits several people is never guessed at: the agent is told who they are, and asks.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from msgspec import Struct

from meetai_agent.domain.errors import ApproverUnclearError


class Person(Struct, frozen=True):
    """Somebody in the room who can be asked: a human with a screen.

    Attributes:
        stay: Names this stay in the room; whoever leaves and comes back, or reloads the page, has another.
    """

    identity: str
    name: str
    stay: int


def find_approver(named: str, people: Sequence[Person]) -> Person:
    """The one person meant: by identity first, which nobody can take from another; else by name, else by a part of it.

    Names are compared without their case and form (NFKC, case folded): a recogniser or a model wrote them down by ear.

    Raises:
        ApproverUnclearError: nobody is, or several people are; its words are for the agent to go on with.
    """
    for person in people:
        if person.identity == named.strip():
            return person
    wanted = _words(named)
    for fits in (_is_name, _is_part_of_name):
        meant = [person for person in people if wanted and fits(wanted, _words(person.name))]
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise ApproverUnclearError(f"Several people fit that name: {_listed(meant)}. Ask which of them is meant.")
    raise ApproverUnclearError(
        f"Nobody in the meeting who can be asked has that name. There are: {_listed(people)}. Ask who should approve."
        if people
        else "Nobody is in the meeting who could be asked."
    )


def _is_name(wanted: list[str], name: list[str]) -> bool:
    return wanted == name


def _is_part_of_name(wanted: list[str], name: list[str]) -> bool:
    return set(wanted) <= set(name)


def _words(name: str) -> list[str]:
    return unicodedata.normalize("NFKC", name).casefold().split()


def _listed(people: Sequence[Person]) -> str:
    return ", ".join(f"{person.name or 'without a name'} (identity {person.identity})" for person in people[:20])

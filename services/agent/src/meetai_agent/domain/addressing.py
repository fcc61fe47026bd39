"""Is the agent being spoken to, or only spoken of?

The rule, sentence by sentence. The agent is addressed when its name is a vocative:

- it opens the sentence ("Minutes, what time is it?"), after a greeting or not, set off by punctuation or followed by a request;
- it closes the sentence, set off by a comma ("What time is it, Minutes?") or after a word that ends a request ("thank you Minutes");
- it stands between commas ("So, Minutes, who is here?");
- it is all that was said ("Minutes?"): a call, whose request may follow.

A name anywhere else is a mention ("the minutes are ready"). Case, accents and punctuation don't matter. Recognisers misspell
names, so one letter may be wrong in a name of five or more, unless that makes it the name of somebody who is here.
Without punctuation the rule knows English requests only; recognisers punctuate.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from enum import Enum
from typing import Final, NamedTuple

MIN_FUZZY_LETTERS: Final = 5
MAX_NAME_TOKENS: Final = 4
MAX_SENTENCE_TOKENS: Final = 200
"""Of a longer sentence the middle isn't looked at: a line may have 16 KiB, and nobody calls out a name in there."""
_TOKENS: Final = re.compile("['\u2019-]{0,4}\\w+(?:['\u2019-]+\\w+)*|[^\\w\\s]")
"""Words with what is within and just before them, else marks by themselves. Bounded at the front: a line of nothing but such marks
would be looked at anew from each of them."""
_SENTENCE_ENDS: Final = frozenset(".!?\u2026\u3002\uff01\uff1f")
_PAUSES: Final = frozenset(",;:-\u2013\u2014\u3001\uff0c\u061b\u060c") | _SENTENCE_ENDS


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GREETINGS: Final = _words(
    "hey hi hello ok okay yo thanks morning afternoon evening you dear hallo hola oye salut bonjour ciao ola"
)
"""Words before a name that make it a vocative ("you" as in "thank you")."""
_FILLERS: Final = _words("so and but well now um uh er oh ah please then right alright all good thank")
_REQUESTS: Final = _words(
    "please what whats who whos when where wheres why which how hows tell say give repeat summarise summarize sum recap propose schedule remind read list explain help stop note add find show make let thank thanks"
)
_AUXILIARIES: Final = _words("can could will would should may do does did have has is are am was were")
_SUBJECTS: Final = _words("you we i it they he she anyone anybody someone somebody there this that")
"""After an auxiliary these make a question: "Minutes are you there", and not "Minutes are ready"."""
_ENDINGS: Final = _words(
    "you it that this now please today thanks think there here ok okay right again me us hello hi hey"
)
"""Words after which a name at the end is a vocative even without a comma; after others it is an object ("the minutes")."""
_UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")
_HONORIFICS: Final = ("", "さん", "くん", "さま", "様", "ちゃん", "先生")


class Address(Enum):
    """What a sentence is to the agent."""

    NONE = "none"
    CALL = "call"
    """The name and nothing else: what is wanted may come next."""
    REQUEST = "request"


def address(text: str, name: str, others: Collection[str] = ()) -> Address:
    """Whether `text`, said or written by a person, addresses the agent called `name` while `others` are in the room."""
    wanted = _fold(name)
    if not wanted:
        return Address.NONE
    taken = {_fold(word) for other in others for word in (other, *other.split())} - {wanted}
    found = [_sentence(words, wanted, taken) for words in _sentences(text)]
    if Address.REQUEST in found or (Address.CALL in found and len(found) > 1):
        return Address.REQUEST
    return Address.CALL if Address.CALL in found else Address.NONE


def opens_with_name(text: str, names: Collection[str]) -> bool:
    """Whether a text opens with one of these names, after an @ or before a comma or colon: it is meant for them."""
    start = text.strip()
    return any(
        re.match(rf"@{re.escape(name)}(?!\w)|{re.escape(name)}\s*[,:]", start, re.IGNORECASE)
        for name in names
        if _fold(name)
    )


def names_in(text: str, names: Collection[str]) -> set[str]:
    """Those of the names that stand in a text, or of which a part does ("Ada" for "Ada Lovelace")."""
    words = {token.word for sentence in _sentences(text) for token in sentence}
    words |= {word.removesuffix("s") for word in words}
    return {name for name in names if {_fold(part) for part in name.split()} & words}


class _Token(NamedTuple):
    """A word or a punctuation mark, and the word without case, accents and punctuation."""

    text: str
    word: str

    @property
    def is_pause(self) -> bool:
        return self.text in _PAUSES


def _sentences(text: str) -> list[list[_Token]]:
    """Tokens by sentence, each with its punctuation; of a very long sentence the start and the end."""
    sentences: list[list[_Token]] = [[]]
    for token in _TOKENS.findall(unicodedata.normalize("NFC", text)):
        if token in _SENTENCE_ENDS:
            sentences.append([])
        else:
            sentences[-1].append(_Token(token, _fold(token)))
    half = MAX_SENTENCE_TOKENS // 2
    shortened = [
        sentence if len(sentence) <= 2 * half else sentence[:half] + sentence[-half:] for sentence in sentences
    ]
    return [sentence for sentence in shortened if any(token.word for token in sentence)]


def _sentence(tokens: list[_Token], wanted: str, taken: Collection[str]) -> Address:
    if _UNSPACED.search(wanted):
        return _unspaced(tokens, wanted)
    found = Address.NONE
    for first in range(len(tokens)):
        for last in range(first + 1, min(first + MAX_NAME_TOKENS, len(tokens)) + 1):
            if not _is_name(tokens[first:last], wanted, taken):
                continue
            match _vocative(tokens[:first], tokens[last:]):
                case Address.REQUEST:
                    return Address.REQUEST
                case Address.CALL:
                    found = Address.CALL
                case Address.NONE:
                    pass
    return found


def _vocative(before: list[_Token], after: list[_Token]) -> Address:
    """What the name between these is."""
    said_before = [token.word for token in before if not token.is_pause]
    said_after = [token.word for token in after if not token.is_pause]
    opening = [word for word in said_before if word not in _FILLERS]
    greeted = bool(said_before) and said_before[-1] in _GREETINGS
    set_off_before = bool(before) and before[-1].is_pause
    set_off_after = bool(after) and after[0].is_pause
    opens = not opening or (greeted and len(opening) <= 1)
    if not said_after:
        if opens:
            return Address.REQUEST if {"thank", "thanks"} & set(said_before) else Address.CALL
        return Address.REQUEST if set_off_before or said_before[-1] in _ENDINGS else Address.NONE
    listed = said_after[0] in {"and", "or"}
    if opens:
        set_off = (set_off_after and not listed) or set_off_before
        return Address.REQUEST if set_off or greeted or _is_request(said_after) else Address.NONE
    return Address.REQUEST if set_off_before and set_off_after and not listed and len(said_after) > 1 else Address.NONE


def _is_request(words: list[str]) -> bool:
    return words[0] in _REQUESTS or (words[0] in _AUXILIARIES and len(words) > 1 and words[1] in _SUBJECTS)


def _is_name(tokens: list[_Token], wanted: str, taken: Collection[str]) -> bool:
    if tokens[0].is_pause or tokens[-1].is_pause:
        return False
    said = "".join(token.word for token in tokens)
    if said == wanted:
        return True
    return len(wanted) >= MIN_FUZZY_LETTERS and said not in taken and _one_letter_off(said, wanted)


def _unspaced(tokens: list[_Token], wanted: str) -> Address:
    """In scripts without spaces a token is a clause: the name opens one, or is one."""
    for at, token in enumerate(tokens):
        if token.word.startswith(wanted) and token.word.removeprefix(wanted) in _HONORIFICS:
            return Address.REQUEST if len(tokens) > at + 1 or at > 0 else Address.CALL
    return Address.NONE


def _fold(text: str) -> str:
    """Letters and digits alone, without case or accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if character.isalnum())


def _one_letter_off(said: str, wanted: str) -> bool:
    """One letter too many, too few or another."""
    if abs(len(said) - len(wanted)) > 1:
        return False
    shorter, longer = sorted((said, wanted), key=len)
    start = next((at for at, letter in enumerate(shorter) if letter != longer[at]), len(shorter))
    return shorter[start + (len(shorter) == len(longer)) :] == longer[start + 1 :]

"""Who was shown a clear value: looked up under the key of every grant, without keeping it anywhere.

SECURITY: the value is in the body of one call and in functions of this module, never in a log line, an error or an
entry; tested in tests/api/test_who_saw.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Final

from loglease.access.caller import Caller
from loglease.access.who_saw import Looked, Question, ValueWanted, require_may_ask, seen
from loglease.access.who_saw_answer import Answer, content_of, record_answer
from loglease.model.digest import Canonical
from loglease.model.errors import InvalidField
from loglease.model.key_scope import KeyScope
from loglease.redaction import Hidden, Keys, Library, Lookup, RedactionError
from loglease.server.reading import keys_in
from loglease.server.services import Services
from loglease.store.interface import Transaction
from loglease.store.served_index_interface import GrantKey

KEY_DESTROYED: Final = "key_destroyed"
_WITHIN: Final = {wide: [one for one in KeyScope if one.reach <= wide.reach] for wide in KeyScope}
_GRANT: Final = KeyScope.GRANT
_ALONE: Final = (_GRANT,)
_NOTHING_SHOWN: Final = frozenset({Hidden.RAW, Hidden.ABSENT, Hidden.MASKED})


async def answered(services: Services, caller: Caller, question: Question) -> Answer:
    """Return the answer to a question, once it is on the record.

    Raises:
        NotPermitted: the caller may not ask.
        NotFound: there is no such grant.
        AuditUnavailable: it could not be recorded.
    """
    require_may_ask(caller)
    async with services.standing.searching:
        content = await services.store.read(lambda tx: _content(tx, question))
    return await record_answer(
        content, question, caller=caller, log=services.log, new_id=services.new_id, random=services.random
    )


def _content(tx: Transaction, question: Question) -> Mapping[str, Canonical]:
    return content_of(tx, question, seen(tx, question))


def value_wanted(cls: str, value: bytes, *, library: Library, master: bytes) -> ValueWanted:
    """Return a clear value as the search takes it.

    Args:
        master: the deployment's key.

    Raises:
        InvalidField: no rule finds values of that class.
    """
    lookup = Lookup(library, cls)
    if not lookup.is_known:
        raise InvalidField("No rule finds values of this class.", next_step="loglease rules list")
    return ValueWanted(cls=cls, classes=lookup.classes, look=_looking(lookup, value, master))


def pseudonym_of(text: str) -> str:
    """Return a pseudonym as lists have it, from how people copy it: with its brackets or without."""
    return text if text.startswith("⟦") else f"⟦{text}⟧"


def _looking(lookup: Lookup, value: bytes, master: bytes) -> Callable[[GrantKey], Looked]:
    of_grant = lookup.value_of_grants(value, master)
    under = cache(lookup.value(value))

    @cache
    def hidden_by(pins: frozenset[str]) -> tuple[Mapping[str, str], bool]:
        """Return why profiles do not show all such values as pseudonyms, and whether they show any."""
        whys = {pin: lookup.hidden(pin) for pin in pins}
        shows = any(why not in _NOTHING_SHOWN for why in whys.values())
        return {pin: str(why) for pin, why in whys.items() if why is not None}, shows

    def look(key: GrantKey) -> Looked:
        hidden, shows = hidden_by(key.profiles)
        if not shows:
            return Looked((), hidden)
        found: Collection[str] = ()
        # Policy may have narrowed how far pseudonyms reach since the grant was made: then its key was another one.
        for scope in _ALONE if key.reach is _GRANT else _WITHIN[key.reach]:
            try:
                more = of_grant(key.salt, key.id) if scope is _GRANT else under(_shared(scope, key, master))
                found = (*found, *more) if found else more
            except RedactionError:
                hidden = {**hidden, **dict.fromkeys(key.profiles, KEY_DESTROYED)}
        return Looked(found, hidden)

    return look


def _shared(scope: KeyScope, key: GrantKey, master: bytes) -> Keys:
    return keys_in(
        scope,
        master,
        grant_id=key.id,
        policy=key.policy,
        scheduled_at=key.scheduled_at,
        salt=key.salt,
        shared_salt=key.shared_salt,
    )

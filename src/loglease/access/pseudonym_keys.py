"""The salts that keys of pseudonyms are derived from: one of each grant's own, and those that grants share.

Where a policy lets pseudonyms reach beyond one grant, its grants of a day, or all of this deployment, get one salt.
Each carries a copy, so a shared key is gone once the last of its grants is erased; that of a day is handed out on that
day alone.

SECURITY: without a salt there is no key, and no other one in its place. Tested in tests/access/test_pseudonym_keys.py.
"""

from __future__ import annotations

from typing import Final

from loglease.access.commitments import Random
from loglease.access.errors import PolicyDenied
from loglease.audit.interface import EntryLog, Recorded
from loglease.model.grant import Grant
from loglease.model.instant import Instant
from loglease.model.key_scope import KeyScope, day_of
from loglease.store.interface import Transaction

SALT_BYTES: Final = 32


def shared_salt(tx: Transaction, scope: KeyScope, policy: str, now: Instant, *, random: Random) -> bytes | None:
    """Return the salt that a grant made now shares with others of its scope; None where the scope is the grant.

    Args:
        policy: the one that the grant is from: who is given access under it is a team.
    """
    match scope:
        case KeyScope.TEAM_DAY:
            name, day = f"{scope}/{policy}", day_of(now)
        case KeyScope.DEPLOYMENT:
            name, day = str(scope), ""
        case _:
            return None
    found = tx.key_salts.find(name, day)
    if found is None:
        found = random(SALT_BYTES)
        tx.key_salts.insert(name, day, found)
    return found


def require_key(grant: Grant) -> None:
    """Refuse to start a grant whose key cannot be derived any more, or never could.

    Raises:
        PolicyDenied: a salt is missing.
    """
    has_own = len(grant.key_salt) == SALT_BYTES
    has_shared = grant.shape.pseudonyms is KeyScope.GRANT or len(grant.shared_salt or b"") == SALT_BYTES
    if not (has_own and has_shared):
        raise PolicyDenied(
            f"The key of the pseudonyms of {grant.id} is gone.", rule=grant.policy, next_step="Ask for access anew."
        )


async def forget_key_salts(*, log: EntryLog[Transaction]) -> None:
    """Forget the salts of days that are over: no grant gets them any more, and those that have them keep their copies.

    Raises:
        AuditUnavailable, StoreUnavailable: nothing was forgotten.
    """

    def work(tx: Transaction, now: Instant) -> Recorded[None]:
        tx.key_salts.delete_before(day_of(now))
        return Recorded(None)

    await log.commit(work)

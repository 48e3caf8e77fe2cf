"""Private texts of the audit log, for whoever may read them: opened where their key is still there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from loglease.audit.interface import EntryRow
from loglease.audit.privacy import Vault, clear_texts
from loglease.store.interface import Transaction


def texts_of(tx: Transaction, entry_id: str, vault: Vault) -> Mapping[str, str]:
    """Return what an entry commits to, by field, as far as it was not erased.

    Raises:
        PrivateUnreadable: a text or a key was changed.
    """
    return clear_texts(vault, tx.subject_keys, entry_id, tx.entries.private(entry_id))


def require_master_key(tx: Transaction, vault: Vault) -> None:
    """Refuse a master key that is not this database's, before a text is sealed that the right one would not open.

    Raises:
        PrivateUnreadable: it is another one.
    """
    known = tx.subject_keys.any()
    if known is not None:
        vault.require_opens(*known)


def forgetting(vault: Vault) -> Callable[[Sequence[EntryRow]], None]:
    """Return a listener of the log that has a vault let go of the keys of subjects who were erased."""

    def committed(rows: Sequence[EntryRow]) -> None:
        for row in rows:
            if row.draft.type == "subject.erased":
                vault.forget(str(row.draft.data["subject"]))

    return committed

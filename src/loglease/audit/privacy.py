"""Private text beside the log, sealed under the key of the subject who wrote it: with the key gone, all of it is.

Salt and clear bytes are one AES-256-GCM message; the entry and the field are bound to it, so none can be put in
another's place. A subject's key is drawn when it is first needed and stored wrapped by the deployment's master key,
which is never in the database.

SECURITY: a text whose key was erased is not opened by anything that is left. Tested in tests/audit/test_privacy.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from loglease.audit.interface import PrivateField, Sealed, SealedField, SubjectKeys
from loglease.model.digest import SALT_BYTES
from loglease.model.errors import LogLeaseError

Random = Callable[[int], bytes]

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
"""Random ones: with one key they suffice for four thousand million texts, far more than anybody types."""
_FORM: Final = b"\x01"
_KEY_PURPOSE: Final = b"loglease/subject-key/1\n"
_TEXT_PURPOSE: Final = "loglease/private-text/1\n"
_HELD: Final = 1_024


class PrivateUnreadable(LogLeaseError):
    """A stored key or text does not open: it was changed, or the master key is another one."""

    code = "audit_unavailable"


class Vault:
    """Seals and opens private texts. Used from several threads.

    Args:
        master: the deployment's key for subject keys, 32 bytes from outside the database.
        random: draws keys and nonces.
    """

    def __init__(self, master: bytes, random: Random) -> None:
        self._master = AESGCM(master[:KEY_BYTES])
        self._random = random
        self._known: OrderedDict[str, AESGCM] = OrderedDict()
        self._forgotten: set[str] = set()
        self._lock = Lock()

    def sealing(self, keys: SubjectKeys) -> Sealing:
        """Return what seals the texts of one transaction; `keys` are those that the transaction sees."""
        return Sealing(self, keys, self._random)

    def opened(self, keys: SubjectKeys, entry_id: str, texts: Iterable[Sealed]) -> tuple[PrivateField, ...]:
        """Return the texts of one entry whose keys are still there; the others were erased.

        Raises:
            PrivateUnreadable: a key is there and does not open its text.
        """
        found = []
        for text in texts:
            key = self.key(keys, text.subject)
            if key is not None:
                found.append(_opened(key, entry_id, text))
        return tuple(found)

    def key(self, keys: SubjectKeys, subject: str) -> AESGCM | None:
        """Return a subject's key; None where there is none.

        Raises:
            PrivateUnreadable: it is not wrapped by this master key.
        """
        with self._lock:
            held = self._known.get(subject)
            if held is not None:
                self._known.move_to_end(subject)
                return held
        wrapped = keys.find(subject)
        if wrapped is None:
            return None
        key = AESGCM(self._unwrapped(subject, wrapped))
        with self._lock:
            # Whoever reads an older snapshot may still see the key of somebody who was erased meanwhile.
            if subject not in self._forgotten:
                self._known[subject] = key
            if len(self._known) > _HELD:
                self._known.popitem(last=False)
        return key

    def wrapped(self, subject: str, key: bytes) -> bytes:
        """Return a subject's key as it is stored."""
        nonce = self._random(NONCE_BYTES)
        return _FORM + nonce + self._master.encrypt(nonce, key, _KEY_PURPOSE + _FORM + subject.encode())

    def forget(self, subject: str) -> None:
        """Let go of an erased subject's key. A text of theirs stays closed from then on."""
        with self._lock:
            self._forgotten.add(subject)
            self._known.pop(subject, None)

    def require_opens(self, subject: str, wrapped: bytes) -> None:
        """Refuse to go on with a master key that is not the one that wrapped this key.

        Raises:
            PrivateUnreadable: it is not.
        """
        self._unwrapped(subject, wrapped)

    def _unwrapped(self, subject: str, wrapped: bytes) -> bytes:
        nonce, sealed = wrapped[len(_FORM) : len(_FORM) + NONCE_BYTES], wrapped[len(_FORM) + NONCE_BYTES :]
        try:
            return self._master.decrypt(nonce, sealed, _KEY_PURPOSE + wrapped[: len(_FORM)] + subject.encode())
        except (InvalidTag, ValueError) as error:
            raise PrivateUnreadable(
                "The keys of private texts do not open with the master key in private.key.",
                next_step="Restore private.key from the backup that belongs to this database.",
            ) from error


class Sealing:
    """Seals what one transaction records. A key that it draws is nobody else's before the transaction is durable."""

    def __init__(self, vault: Vault, keys: SubjectKeys, random: Random) -> None:
        self._vault = vault
        self._keys = keys
        self._random = random
        self._fresh: dict[str, AESGCM] = {}

    def seal(self, entry_id: str, subject: str, texts: Iterable[PrivateField]) -> tuple[SealedField, ...]:
        """Return texts sealed under a subject's key, which is drawn and stored if there is none.

        Raises:
            PrivateUnreadable: the stored key does not open.
        """
        key = self._fresh.get(subject) or self._vault.key(self._keys, subject) or self._drawn(subject)
        sealed = []
        for text in texts:
            nonce = self._random(NONCE_BYTES)
            content = key.encrypt(nonce, text.salt + text.clear, _bound_to(entry_id, text.path))
            sealed.append(SealedField(text.path, subject, nonce, content))
        return tuple(sealed)

    def _drawn(self, subject: str) -> AESGCM:
        key = self._random(KEY_BYTES)
        self._keys.insert(subject, self._vault.wrapped(subject, key))
        self._fresh[subject] = AESGCM(key)
        return self._fresh[subject]


def clear_texts(vault: Vault, keys: SubjectKeys, entry_id: str, texts: Iterable[Sealed]) -> Mapping[str, str]:
    """Return the texts of an entry by field, as far as they were not erased."""
    opened = vault.opened(keys, entry_id, texts)
    return MappingProxyType({text.path: text.clear.decode(errors="replace") for text in opened})


def _opened(key: AESGCM, entry_id: str, text: Sealed) -> PrivateField:
    try:
        content = key.decrypt(text.nonce, text.ciphertext, _bound_to(entry_id, text.path))
    except (InvalidTag, ValueError) as error:
        raise PrivateUnreadable(
            f"The private text {text.path} of {entry_id} was changed.",
            next_step="Treat the database as tampered with: loglease audit verify.",
        ) from error
    return PrivateField(path=text.path, salt=content[:SALT_BYTES], clear=content[SALT_BYTES:])


def _bound_to(entry_id: str, path: str) -> bytes:
    return f"{_TEXT_PURPOSE}{entry_id}\n{path}".encode()

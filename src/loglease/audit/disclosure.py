"""One text of one entry, opened, in a file of its own: whoever has the log's public key can check it without the log.

The file is a JSON object: the bytes of the entry with the proof that they are in the log, and the salt and the bytes
of the text that the entry commits to. Nothing in it is taken on trust: text and salt have to hash to the commitment
that stands in the entry, and the entry has to be below a signed head.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from loglease.audit.entry import Entry, entry_of
from loglease.audit.interface import EntryInvalid
from loglease.audit.merkle import ProofInvalid
from loglease.audit.proof import InclusionProof
from loglease.model.digest import SALT_BYTES, commitment
from loglease.model.errors import LogLeaseError

SUFFIX: Final = ".disclosure"
MAX_BYTES: Final = 4 << 20
_FORMAT: Final = "loglease/disclosure/1"
_KEYS: Final = ("format", "field", "salt", "clear", "entry_bytes", "proof")
_OF_MANY: Final = ":"
_COMMITMENT: Final = "_c"
"""How the names of fields end that hold commitments."""


class DisclosureInvalid(LogLeaseError):
    """A file is no disclosure, or one whose text is not what its entry commits to."""

    code = "log_invalid"


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A text of an entry with all that shows what it is.

    Attributes:
        field: which text: the name of its commitment in the entry; of a line rule with a colon and the commitment.
        salt: what the commitment was made with.
        clear: the bytes of the text.
        content: the bytes of the entry.
        proof: that the entry is in the log.
    """

    field: str
    salt: bytes
    clear: bytes
    content: bytes
    proof: InclusionProof

    @property
    def commitment(self) -> str:
        """What salt and text hash to, in hex."""
        return commitment(self.salt, self.clear)

    @property
    def text(self) -> str:
        """The text; bytes that are no UTF-8 are marked."""
        return self.clear.decode(errors="replace")

    def entry(self) -> Entry:
        """Return the entry, once it is certain that it commits to the text in this field.

        Raises:
            DisclosureInvalid: it is no entry, or commits to something else there.
        """
        try:
            entry = entry_of(self.content)
        except EntryInvalid as error:
            raise DisclosureInvalid(f"What it calls the entry has not the form of one: {error.message}") from error
        if not is_committed(entry, self.field, self.commitment):
            raise DisclosureInvalid(
                f"The text is not what the entry commits to as {self.field[:80]}: with its salt it hashes to "
                f"{self.commitment}, which does not stand there."
            )
        return entry

    def encode(self) -> bytes:
        """Return the file."""
        data = {
            "format": _FORMAT,
            "field": self.field,
            "salt": self.salt.hex(),
            "clear": base64.b64encode(self.clear).decode(),
            "entry_bytes": base64.b64encode(self.content).decode(),
            "proof": self.proof.encode().decode(),
        }
        return json.dumps(data, indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def parse(cls, content: bytes) -> Disclosure:
        """Read a file; nothing in it is checked but its form.

        Raises:
            DisclosureInvalid: another form.
        """
        if len(content) > MAX_BYTES:
            raise DisclosureInvalid(f"A disclosure has at most {MAX_BYTES:,} bytes.")
        try:
            data = dict(json.loads(content, object_pairs_hook=_once_each))
        except (ValueError, TypeError, RecursionError) as error:
            raise DisclosureInvalid("A disclosure is a JSON object that has each name once.") from error
        if data.get("format") != _FORMAT:
            raise DisclosureInvalid(
                f"A disclosure has the format {_FORMAT}.", next_step="Make it with: loglease audit disclose --file FILE"
            )
        if set(data) != set(_KEYS) or not all(isinstance(one, str) for one in data.values()):
            raise DisclosureInvalid(f"A disclosure has texts named {', '.join(_KEYS)}, and nothing else.")
        try:
            proof = InclusionProof.parse(data["proof"].encode())
        except (ProofInvalid, UnicodeEncodeError) as error:
            raise DisclosureInvalid("Its proof is none.") from error
        return cls(data["field"], _salt(data["salt"]), _bytes(data, "clear"), _bytes(data, "entry_bytes"), proof)


def is_committed(entry: Entry, field: str, committed: str) -> bool:
    """Say whether an entry commits to something in a field, wherever in its data that stands."""
    name, of_many, which = field.partition(_OF_MANY)
    if not name.endswith(_COMMITMENT) or (of_many and which != committed):
        return False
    return committed in _commitments(entry.draft.data, name)


def _commitments(data: Any, name: str) -> Iterator[str]:
    """Yield what stands under a name in some data, and in the lists under it."""
    match data:
        case dict():
            for key, value in data.items():
                if key == name:
                    yield from [value] if isinstance(value, str) else [one for one in value if isinstance(one, str)]
                yield from _commitments(value, name)
        case list() | tuple():
            for value in data:
                yield from _commitments(value, name)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _salt(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != SALT_BYTES or found.hex() != text:
        raise DisclosureInvalid(f"A salt has {SALT_BYTES} bytes, in lower-case hex.")
    return found


def _bytes(data: dict[str, str], name: str) -> bytes:
    try:
        found = base64.b64decode(data[name], validate=True)
    except (binascii.Error, ValueError) as error:
        raise DisclosureInvalid(f"Its {name} is no Base64.") from error
    if base64.b64encode(found).decode() != data[name]:
        raise DisclosureInvalid(f"Its {name} is another spelling of its bytes.")
    return found

"""Signed notes: a text, and lines below it in which keys vouch for it.

Source: C2SP signed-note and, for witnesses, tlog-cosignature. Ed25519 only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from loglease.model.errors import LogLeaseError

ED25519: Final = 0x01
"""A signature over the text."""
COSIGNATURE: Final = 0x04
"""A witness's signature over a time and the text."""
MAX_NOTE_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100

_KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_DASH: Final = "— "
_PRIVATE: Final = "PRIVATE+KEY+"
_KEY: Final = re.compile(r"(?P<name>[^\s+]+)\+(?P<id>[0-9a-f]{8})\+(?P<key>[A-Za-z0-9+/]+=*)")
_NAME: Final = re.compile(r"[^\s+]+")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


class NoteInvalid(LogLeaseError):
    """A note, a key or a signature does not have its form, or does not hold."""

    code = "log_invalid"


class Signature(NamedTuple):
    """One signature line.

    Attributes:
        key_id: 4 bytes.
        blob: what the key made, without its id.
    """

    name: str
    key_id: bytes
    blob: bytes


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs as; `str` gives the form in which keys are handed around (a vkey).

    Attributes:
        kind: `ED25519` or `COSIGNATURE`.
        public: 32 bytes.
    """

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read ``name+id+key``.

        Raises:
            NoteInvalid: another form, another kind of key, or an id that is not the key's.
        """
        name, key_id, kind, public = _key_of(text, "a public key such as logs.example.com/1+1f0c2d9a+AbT9…")
        key = cls(name, kind, public)
        if key.key_id != key_id:
            raise NoteInvalid(f"The key of {name} has the id {key.key_id.hex()}, not {key_id.hex()}.")
        return key

    @property
    def key_id(self) -> bytes:
        """The 4 bytes by which signatures name the key, beside its name."""
        content = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(content).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """Return the key as a vkey."""
        return f"{self.name}+{self.key_id.hex()}+{_base64(bytes([self.kind]) + self.public)}"

    def holds(self, text: str, blob: bytes) -> bool:
        """Say whether a signature's bytes are this key's over `text`."""
        message = text.encode()
        if self.kind == COSIGNATURE:
            if len(blob) != _TIME_BYTES + _SIGNATURE_BYTES:
                return False
            message, blob = _cosigned(text, int.from_bytes(blob[:_TIME_BYTES])), blob[_TIME_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(blob, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer(Protocol):
    """Whoever signs notes: a key in a file, or one that never leaves its device."""

    @property
    def verifier(self) -> VerifierKey:
        """The public key."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of an Ed25519 signature."""


class SigningKey:
    """A private Ed25519 key with its name.

    Args:
        seed: 32 unpredictable bytes.
    """

    def __init__(self, name: str, seed: bytes, kind: int = ED25519) -> None:
        if not is_name(name):
            raise NoteInvalid(f"{name[:80]!r} cannot be the name of a key: it is empty, or has a space or a plus sign.")
        if kind not in (ED25519, COSIGNATURE) or len(seed) != _KEY_BYTES:
            raise NoteInvalid(f"The key of {name} is no Ed25519 key.")
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._verifier = VerifierKey(name, kind, self._key.public_key().public_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> SigningKey:
        """Read ``PRIVATE+KEY+name+id+key``; a fault is told without the key.

        Raises:
            NoteInvalid: another form, or an id that is not the key's.
        """
        if not text.startswith(_PRIVATE):
            raise NoteInvalid(f"This is no private key: it does not start with {_PRIVATE}")
        name, key_id, kind, seed = _key_of(text.removeprefix(_PRIVATE), "a private key")
        key = cls(name, seed, kind)
        if key.verifier.key_id != key_id:
            raise NoteInvalid(f"The private key of {name} has the id {key.verifier.key_id.hex()}, not {key_id.hex()}.")
        return key

    @property
    def verifier(self) -> VerifierKey:
        """The public key."""
        return self._verifier

    def text(self) -> str:
        """Return the key as its file holds it."""
        key = self._verifier
        return f"{_PRIVATE}{key.name}+{key.key_id.hex()}+{_base64(bytes([key.kind]) + self._seed)}"

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of an Ed25519 signature."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        """Return what may be seen of it."""
        return f"SigningKey({self._verifier})"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text that ends with a line feed, and the signatures below it."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, content: bytes) -> SignedNote:
        """Read a note; no signature is checked.

        Raises:
            NoteInvalid: it is too long, no text, or has no signature lines.
        """
        if len(content) > MAX_NOTE_BYTES:
            raise NoteInvalid(f"A signed note has at most {MAX_NOTE_BYTES:,} bytes, not {len(content):,}.")
        try:
            whole = content.decode()
        except UnicodeDecodeError as error:
            raise NoteInvalid(f"A signed note is UTF-8; this one is not at byte {error.start}.") from error
        if _CONTROL.search(whole):
            raise NoteInvalid("A signed note has no control characters other than line feeds.")
        text, blank, lines = whole.rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise NoteInvalid("A signed note is a text, an empty line and signature lines, each ended.")
        found = lines.removesuffix("\n").split("\n")
        if len(found) > MAX_SIGNATURES:
            raise NoteInvalid(f"A signed note has at most {MAX_SIGNATURES} signatures.")
        return cls(f"{text}\n", tuple(_signature_of(line) for line in found))

    def encode(self) -> bytes:
        """Return the note's bytes."""
        lines = (f"{_DASH}{one.name} {_base64(one.key_id + one.blob)}\n" for one in self.signatures)
        return f"{self.text}\n{''.join(lines)}".encode()


def is_name(name: str) -> bool:
    """Say whether a key may have this name: no spaces, no plus sign, not empty."""
    return _NAME.fullmatch(name) is not None


def sign_note(text: str, signers: Sequence[Signer]) -> SignedNote:
    """Return a text with a signature line of each signer.

    Raises:
        NoteInvalid: the text does not end with a line feed, or has a control character.
    """
    if not text.endswith("\n") or _CONTROL.search(text):
        raise NoteInvalid("A text to sign ends with a line feed and has no other control characters.")
    return SignedNote(text, tuple(_signed(signer.verifier, signer.sign(text.encode())) for signer in signers))


def cosign(text: str, signer: Signer, *, at_s: int) -> Signature:
    """Return a witness's signature line of a checkpoint's text.

    Args:
        signer: its key is of the kind `COSIGNATURE`.
        at_s: seconds since 1970.
    """
    return _signed(signer.verifier, at_s.to_bytes(_TIME_BYTES) + signer.sign(_cosigned(text, at_s)))


def cosigned_at(signature: Signature) -> int:
    """Return the time that a witness's signature names, in seconds since 1970."""
    return int.from_bytes(signature.blob[:_TIME_BYTES])


def signers_of(note: SignedNote, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
    """Return the keys that vouch for a note; lines of other keys say nothing.

    Raises:
        NoteInvalid: a line that names one of the keys is not its signature.
    """
    known = {(key.name, key.key_id): key for key in keys}
    found = []
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None or key in found:
            continue
        if not key.holds(note.text, signature.blob):
            raise NoteInvalid(f"The signature of {key.name} ({key.key_id.hex()}) does not hold.")
        found.append(key)
    return found


def _signed(key: VerifierKey, blob: bytes) -> Signature:
    return Signature(key.name, key.key_id, blob)


def _cosigned(text: str, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def _signature_of(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if line.startswith(_DASH) and space and is_name(name):
        blob = _decoded(encoded)
        if blob is not None and len(blob) > _ID_BYTES:
            return Signature(name, blob[:_ID_BYTES], blob[_ID_BYTES:])
    raise NoteInvalid(f"{line[:80]!r} is no signature line.")


def _key_of(text: str, what: str) -> tuple[str, bytes, int, bytes]:
    match = _KEY.fullmatch(text)
    content = None if match is None else _decoded(match["key"])
    if match is None or content is None or len(content) != 1 + _KEY_BYTES or content[0] not in (ED25519, COSIGNATURE):
        raise NoteInvalid(f"This is not {what}.")
    return match["name"], bytes.fromhex(match["id"]), content[0], content[1:]


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decoded(text: str) -> bytes | None:
    """Return what base64 stands for; None for anything but its one spelling."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if _base64(content) == text else None

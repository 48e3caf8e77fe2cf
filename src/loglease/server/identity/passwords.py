"""Passwords: Argon2id off the event loop, a length, no composition rules, and no common ones."""

from __future__ import annotations

import asyncio
import base64
from importlib import resources
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from loglease.access.commitments import Random
from loglease.model.errors import FieldFault, InvalidField
from loglease.server.identity.names import folded
from loglease.server.settings import IdentitySettings

MIN_LENGTH: Final = 12
MAX_BYTES: Final = 1_024
AT_ONCE: Final = 2
_GENERATED_BYTES: Final = 15


def _common() -> frozenset[str]:
    text = resources.files(__package__).joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


COMMON: Final = _common()


def checked_password(password: str, account: str) -> str:
    """Return a password that may be used from now on.

    Raises:
        InvalidField: it is short, very long, common, or the account's name.
    """
    if len(password) < MIN_LENGTH:
        fault = FieldFault("/password", "too_short", f"It has fewer than {MIN_LENGTH} characters.")
    elif len(password.encode(errors="surrogatepass")) > MAX_BYTES:
        fault = FieldFault("/password", "too_long", f"It has more than {MAX_BYTES} bytes.")
    elif folded(password) in COMMON or folded(password) == folded(account):
        fault = FieldFault("/password", "too_common", "It is among the first that anybody tries.")
    else:
        return password
    raise InvalidField(
        f"The password cannot be used. {fault.detail}",
        next_step="Use a sentence or several random words; there are no other rules.",
        faults=(fault,),
    )


def generated_password(random: Random) -> str:
    """Return a password of 120 random bits, in groups that people can copy."""
    text = base64.b32encode(random(_GENERATED_BYTES)).decode().lower()
    return "-".join(text[start : start + 6] for start in range(0, len(text), 6))


class Passwords:
    """Hashes and checks passwords, a few at once, since each takes tens of megabytes."""

    def __init__(self, settings: IdentitySettings, random: Random) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_passes,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_lanes,
        )
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._random = random
        self._dummy: str | None = None

    async def hashed(self, password: str) -> str:
        """Return the encoded Argon2id hash."""
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password: str, encoded: str | None) -> bool:
        """Say whether the password fits; None, for an account that does not exist, costs the same and never does."""
        known = encoded is not None
        if encoded is None:
            if self._dummy is None:
                self._dummy = await self.hashed(self._random(16).hex())
            encoded = self._dummy
        async with self._slots:
            fits = await asyncio.to_thread(self._fits, encoded, password)
        return fits and known

    async def prepare(self) -> None:
        """Make the dummy hash now, so that the first unknown account costs the same as all others."""
        if self._dummy is None:
            self._dummy = await self.hashed(self._random(16).hex())

    def outdated(self, encoded: str) -> bool:
        """Say whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(encoded)

    def _fits(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False

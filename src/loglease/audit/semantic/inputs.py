"""What a pass can use beside the entries. All of it is optional; what is missing is reported as not checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from loglease.audit.semantic.facts import Fact
from loglease.model.errors import LogLeaseError


class NotCheckable(LogLeaseError):
    """Something that a rule needs is not at hand, such as a bundle or an opened decision record."""

    code = "not_found"


@dataclass(frozen=True, slots=True)
class SignedSize:
    """A checkpoint's size, and the verifier keys, as text, whose signatures on it are valid."""

    size: int
    keys: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The optional inputs.

    Attributes:
        origin: of the log, as its checkpoint names it.
        checkpoints: returns those whose signatures were verified, in any order.
        recompute: takes the entries `request.submitted` and `offer.made` and returns what is different when the offer
            is computed again from its bundle and decision record, None for nothing; raises `NotCheckable`.
        served: returns salt and bytes of the served list of an entry, None if it is not there.
        retain_s: how long entries have to be kept, in seconds.
    """

    origin: str | None = None
    checkpoints: Callable[[], Iterable[SignedSize]] | None = None
    recompute: Callable[[Fact, Fact], str | None] | None = None
    served: Callable[[str], tuple[bytes, bytes] | None] | None = None
    retain_s: int | None = None


NOTHING = Inputs()

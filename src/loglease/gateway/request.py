"""What a call says in its head: credential, format, place to go on. All other headers are dropped unread."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from loglease.gateway.errors import (
    CursorInvalid,
    NotAcceptable,
    NotAuthenticated,
)

Headers = Iterable[tuple[bytes, bytes]]

_RESUME = re.compile(rb"[A-Za-z0-9_-]{1,400}")


class Format(StrEnum):
    """The shape of an answer, by its media type."""

    NDJSON = "application/x-ndjson"
    SSE = "text/event-stream"
    TEXT = "text/plain"

    @property
    def content_type(self) -> str:
        """How the answer's head names it."""
        return "text/plain; charset=utf-8" if self is Format.TEXT else self.value


def token_of(headers: Headers) -> str:
    """Return the token of a bearer or basic credential; a user name beside it says nothing.

    Raises:
        NotAuthenticated: there is none, more than one, or it has another form.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) != 1:
        raise _no_credential()
    scheme, _, rest = values[0].strip().partition(b" ")
    token = rest.strip()
    if scheme.lower() == b"basic":
        try:
            token = base64.b64decode(token, validate=True).partition(b":")[2]
        except binascii.Error as error:
            raise _no_credential() from error
    elif scheme.lower() != b"bearer":
        raise _no_credential()
    try:
        text = token.decode("ascii")
    except UnicodeDecodeError as error:
        raise _no_credential() from error
    if not text:
        raise _no_credential()
    return text


def _no_credential() -> NotAuthenticated:
    return NotAuthenticated(
        "This call needs a token: Authorization: Bearer …, or Basic with the token as password.",
        next_step="loglease login, or make a token: loglease token create LABEL --right logs.read",
    )


def format_of(headers: Headers) -> Format:
    """Return the format that the client prefers; NDJSON where it does not say.

    Raises:
        NotAcceptable: it accepts none of ours.
    """
    accepted = b",".join(value for name, value in headers if name == b"accept").decode("latin-1")
    ranked: list[tuple[float, int, Format]] = []
    for place, part in enumerate(accepted.split(",")[:50]):
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = _weight(parameters)
        if weight > 0 and (found := _FORMATS.get(media)) is not None:
            ranked.append((-weight, place, found))
    if ranked:
        return min(ranked)[2]
    if accepted.strip():
        raise NotAcceptable(
            "The answer is application/x-ndjson, text/event-stream or text/plain.", next_step="Accept one of them."
        )
    return Format.NDJSON


def require_json(headers: Headers) -> None:
    """Require that the client takes one JSON object, which is what numbers come as.

    Raises:
        NotAcceptable: it does not.
    """
    accepted = b",".join(value for name, value in headers if name == b"accept").decode("latin-1")
    kinds = {part.split(";")[0].strip().lower() for part in accepted.split(",") if part.strip()}
    if kinds and not kinds & {"application/json", "application/x-ndjson", "application/*", "*/*"}:
        raise NotAcceptable("Numbers come as application/json.", next_step="Accept it.")


_FORMATS: Final = {
    "application/x-ndjson": Format.NDJSON,
    "application/*": Format.NDJSON,
    "*/*": Format.NDJSON,
    "text/event-stream": Format.SSE,
    "text/plain": Format.TEXT,
    "text/*": Format.TEXT,
}


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def accepts_only_json(headers: Headers) -> bool:
    """Say whether errors have to be JSON because the client names nothing else."""
    accepted = b",".join(value for name, value in headers if name == b"accept").decode("latin-1")
    kinds = {part.split(";")[0].strip().lower() for part in accepted.split(",") if part.strip()}
    return bool(kinds) and kinds <= {"application/json", "application/x-ndjson"}


def accepts_gzip(headers: Headers) -> bool:
    """Say whether the client asks for a compressed answer by name."""
    accepted = b",".join(value for name, value in headers if name == b"accept-encoding").decode("latin-1")
    for part in accepted.split(",")[:50]:
        coding, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if coding in ("gzip", "x-gzip"):
            return _weight(parameters) > 0
    return False


def resume_text(headers: Headers) -> str | None:
    """Return the resume value that a client sends back, if it sends one.

    Raises:
        CursorInvalid: it has a form that no resume value has.
    """
    values = [value for name, value in headers if name == b"last-event-id" and value]
    if not values:
        return None
    if len(values) > 1 or not _RESUME.fullmatch(values[0]):
        raise CursorInvalid("The resume value is not one of ours.", next_step="Ask without Last-Event-ID.")
    return values[0].decode("ascii")

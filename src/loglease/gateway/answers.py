"""Answers that are known whole before their first byte: refusals, and constants."""

from __future__ import annotations

from typing import Final

import orjson

from loglease.audit.interface import AuditUnavailable
from loglease.gateway.channel import HEADERS, Send
from loglease.model.errors import LogLeaseError

JSON: Final = "application/json"


async def answer_whole(
    send: Send, status: int, body: bytes, media_type: str, extra: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Write an answer."""
    fields = [
        (b"content-type", media_type.encode()),
        (b"content-length", b"%d" % len(body)),
        *HEADERS,
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def problem_body(error: LogLeaseError, *, as_json: bool) -> tuple[bytes, str]:
    """Return the body of a refusal and its type: code, what was wrong, the rule, the next step.

    Where recording failed it is one body, however it did: who reads does not learn what is the matter with the record.
    """
    if error.code == AuditUnavailable.code:
        error = AuditUnavailable("It cannot be recorded, so nothing is shown.", next_step="Try again.")
    if as_json:
        fields = {"code": error.code, "message": error.told, "rule": error.rule, "next": error.told_next}
        return orjson.dumps({name: value for name, value in fields.items() if value}), JSON
    parts = [f"{error.code}: {error.told}"]
    if error.rule:
        parts.append(f"Rule: {error.rule}")
    if error.told_next:
        parts.append(f"Next: {error.told_next}")
    return ("\n".join(parts) + "\n").encode(), "text/plain; charset=utf-8"

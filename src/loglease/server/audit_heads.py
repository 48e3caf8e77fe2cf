"""The last signed head of the audit log in many hands: with each answer to a change, and with each notice.

Whoever keeps one can prove later that the log was rewritten. Answers that show logs, or that only read, never have it:
there the activity of other people may change no byte (promise 2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from loglease.audit.checkpoint import head_line
from loglease.audit.integrator import SignedHead
from loglease.server.edge import API, App, Message, Receive, Scope, Send

HEADER: Final = b"loglease-audit-head"

_CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_READING: Final = frozenset(
    {
        "/audit/disclosures",
        "/audit/who-saw",
        "/offers",
        "/policies/check",
        "/policies/diff",
        "/policies/explain",
        "/policies/simulate",
        "/policies/who-can",
    }
)
_RENEWING: Final = "/refresh"
_REPORTS: Final = "/audit/reports/"
_SIGNING: Final = "/sign"
_ACCEPTED: Final = range(200, 300)


def changes(method: str, path: str) -> bool:
    """Say whether a call of the API changes something, as opposed to asking with a body.

    Args:
        path: below the base of the API.
    """
    if method not in _CHANGING or path in _READING or path == _RENEWING:
        return False
    return not path.startswith(_REPORTS) or path.endswith(_SIGNING)


def head_text(head: SignedHead | None) -> str | None:
    """Return a head as the line that people keep; None before the first."""
    return None if head is None else head_line(head.checkpoint)


def carrying_heads(api: App, head: Callable[[], SignedHead | None]) -> App:
    """Return the API with the last signed head in the answer to each change that was made."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_head(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in _ACCEPTED:
                text = head_text(head())
                if text is not None:
                    message["headers"] = [*message.get("headers", ()), (HEADER, text.encode())]
            await send(message)

        own = scope["type"] == "http" and changes(scope["method"], str(scope["path"]).removeprefix(API))
        await api(scope, receive, with_head if own else send)

    return app

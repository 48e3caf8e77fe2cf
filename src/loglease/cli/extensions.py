"""More time for a grant: the draft of a request that goes on where it ends, and the words that offer one."""

from __future__ import annotations

from typing import Any

from loglease.cli.asked import Asked
from loglease.cli.client import Body
from loglease.cli.ids import chosen
from loglease.cli.offers import draft_of
from loglease.cli.output import moment
from loglease.cli.run import Run
from loglease.model.ids import GRANT


def extension_draft(run: Run, text: str, asked: Asked) -> Body:
    """Return the body of a draft: what flags do not say is as it was for the grant, but for the reason.

    Raises:
        Usage: the grant cannot be found by what was written.
    """
    grant_id = chosen(run, text, GRANT, mine=True)
    draft: Body = {"extends": grant_id, "reason": asked.reason or ""}
    optional: dict[str, Any] = {"ticket": asked.ticket, "duration_s": asked.duration_s}
    optional["inputs"] = dict(asked.inputs) or None
    limits = {name: value for name, value in (("lines", asked.lines), ("bytes", asked.size)) if value is not None}
    optional["limits"] = limits or None
    draft |= {name: value for name, value in optional.items() if value is not None}
    if asked.selector or asked.level or asked.contains or asked.says_when:
        scope = run.client.get(f"/grants/{grant_id}")["scopes"][0]
        narrower: Body = draft_of(run, asked, {"scopes": [scope]})["scopes"][0]
        if not asked.says_when:
            narrower["window"] = scope["window"]
        draft["scopes"] = [narrower]
    return draft


def going_on(grant: Body) -> str:
    """Say how to go on with a grant that ends soon: what goes on from it already, or the command that asks."""
    extension = grant.get("extension") or {}
    if "grant" in extension:
        return f"{extension['grant']} goes on from it by itself."
    if "request" in extension:
        return f"{extension['request']} asks to extend it already."
    if extension.get("left") and grant["state"] == "active":
        return f"To go on: loglease request --extend {grant['id']} --reason …"
    return f"To go on: loglease request --like {grant['request']}"


def begins_words(grant: Body) -> str:
    """Say when a scheduled extension begins; empty for a grant that begins with its first use."""
    if grant["state"] != "scheduled" or "starts_at" not in grant:
        return ""
    return f"begins by itself at {moment(grant['starts_at'])} UTC, where {grant['extends']} ends"

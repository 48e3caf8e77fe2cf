"""Resources as the API answers them, to be changed where a test cares."""

from __future__ import annotations

import json
from typing import Any

from loglease.model.digest import canonical_bytes, commitment, sha256_hex

REQUEST = "req_01JDC8Z0M4T9YV2K3R5W7X8Q4M"
GRANT = "grt_01JDC91T7KT9YV2K3R5W7X87XK"
SESSION = "ses_01JDC91T7KT9YV2K3R5W7X8K2P"
REVOCATION = "rvk_01JDC91T7KT9YV2K3R5W7X8ABC"
LOCK = "lck_01JDC91T7KT9YV2K3R5W7X8ABC"
TOKEN = "tok_01JDC91T7KT9YV2K3R5W7X8ABC"
ALICE = {"id": "prn_01JDC8Z0M4T9YV2K3R5W7X8Q00", "account": "alice@example.com", "name": "Alice", "kind": "human"}
BOB = {"id": "prn_01JDC8Z0M4T9YV2K3R5W7X8Q01", "account": "bob@example.com", "name": "Bob", "kind": "human"}
FROM_NS = 1_795_426_800_000_000_000
WORDS = "all lines of service pay-api from files"
LATER = "2099-11-23T09:40:00.000000Z"

SCOPE: dict[str, Any] = {
    "source": "files",
    "selector": '{service="pay-api"}',
    "all_streams": False,
    "window": {"from_ns": str(FROM_NS), "live": True},
    "contains": [],
    "profile": "pii-default@1",
    "words": WORDS,
}
OFFER: dict[str, Any] = {
    "number": 1,
    "policy": "default",
    "rule": "route 1",
    "outcome": "review",
    "plans": [
        {
            "origin": "default",
            "stages": [{"joint": "all_of", "blocks": [{"approvers": ["group:leads"], "need": 1}]}],
        }
    ],
    "need": 1,
    "scopes": [SCOPE],
    "duration_s": 1_800,
    "limits": {"lines": 1_000},
    "activate_within_s": 3_600,
    "review_within_s": 1_800,
    "single_use": False,
    "network_bound": False,
    "words": WORDS,
}
OFFERS = {"offers": [OFFER], "explanation": ["route 1"], "words": WORDS}


def request_shown(**changes: Any) -> dict[str, Any]:
    return {
        "id": REQUEST,
        "state": "pending",
        "requester": ALICE,
        "scopes": [SCOPE],
        "reason": "checkout fails",
        "duration_s": 1_800,
        "limits": {},
        "offer": OFFER,
        "digest": terms()["digest"],
        "eligible": [BOB],
        "reviews": [],
        "approvals": 0,
        "need": OFFER["need"],
        "plans": OFFER["plans"],
        "may_review": True,
        "submitted_at": "2026-11-23T09:40:00.000000Z",
        "expires_at": LATER,
        "words": WORDS,
        "version": 1,
        **changes,
    }


def grant_shown(**changes: Any) -> dict[str, Any]:
    return {
        "id": GRANT,
        "state": "active",
        "request": REQUEST,
        "holder": ALICE,
        "policy": "default",
        "basis": "review",
        "scopes": [SCOPE],
        "duration_s": 1_800,
        "limits": {"lines": 1_000},
        "spent": {"lines": 10, "bytes": 400, "queries": 1, "lines_left": 990},
        "single_use": False,
        "network_bound": False,
        "digest": "ab" * 32,
        "reviews": [],
        "holds": [],
        "open_sessions": 0,
        "submitted_at": "2026-11-23T09:40:00.000000Z",
        "scheduled_at": "2026-11-23T09:41:00.000000Z",
        "activate_by": LATER,
        "valid_from": "2026-11-23T09:42:00.000000Z",
        "valid_until": LATER,
        "logs": f"/g/{GRANT}/logs",
        "words": WORDS,
        "version": 2,
        **changes,
    }


def revoked_grant() -> dict[str, Any]:
    return grant_shown(
        state="revoked", ended_at="2026-11-23T10:02:11.000000Z", ended_by=BOB, reason="incident over", version=3
    )


def usage(*sessions: dict[str, Any]) -> dict[str, Any]:
    return {"grant": GRANT, "spent": grant_shown()["spent"], "sessions": list(sessions)}


def session_shown(**changes: Any) -> dict[str, Any]:
    return {
        "id": SESSION,
        "grant": GRANT,
        "principal": ALICE,
        "kind": "tail",
        "front": "plain",
        "state": "closed",
        "opened_at": "2026-11-23T09:42:00.000000Z",
        "closed_at": "2026-11-23T10:02:11.000000Z",
        "why": "revoked",
        "account": {"lines": 2, "bytes": 80, "uncertain_lines": 0, "uncertain_bytes": 0},
        **changes,
    }


def line(text: str, **metadata: str) -> dict[str, Any]:
    return {
        "type": "line",
        "ts": "1795426800123456789",
        "time": "2026-11-23T09:40:00.123456789Z",
        "labels": {"service": "pay-api"},
        "metadata": metadata,
        "line": text,
    }


def ndjson(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in records)


def sse(record: dict[str, Any], resume: str = "") -> bytes:
    named = f"id: {resume}\n" if resume else ""
    return f"{named}event: {record['type']}\ndata: {json.dumps(record, ensure_ascii=False)}\n\n".encode()


def terms(reason: str = "checkout fails", *, level: str | None = "warn", **changes: Any) -> dict[str, Any]:
    """Return the answer of /terms: bytes whose digest is right, and the salts that open them."""
    private = {"reason_c": ("11" * 16, reason), "record_c": ("22" * 16, "{}")}
    if level is not None:
        private[f"rule:level_from={level}"] = ("33" * 16, f"level_from={level}")
    sealed = {name: commitment(bytes.fromhex(salt), clear.encode()) for name, (salt, clear) in private.items()}
    scope = {
        "source": "files",
        "selector": [{"label": "service", "op": "eq", "value": "pay-api"}],
        "from_ns": str(FROM_NS),
        "live": True,
        "rules_c": [value for name, value in sealed.items() if name.startswith("rule:")],
        "profiles": [{"name": "pii-default@1", "sha256": "ab" * 32}],
    }
    body: dict[str, Any] = {
        "request": REQUEST,
        "subject": "sub_01JDC8Z0M4T9YV2K3R5W7X8Q4M",
        "offer": {
            "policy": "default",
            "rule": "route 1",
            "outcome": "review",
            "plans": [[{"from": ["group:leads"], "need": 1}]],
            "scopes": [scope],
            "duration_s": 1_800,
            "limits": {"lines": 1_000},
            "record_c": sealed["record_c"],
        },
        "wish": {
            "scopes": [{**scope, "profiles": []}],
            "reason_c": sealed["reason_c"],
            "duration_s": 1_800,
            "limits": {},
            "expires_at": LATER,
        },
    }
    body.update(changes)
    text = canonical_bytes(body)
    return {
        "request": REQUEST,
        "digest": sha256_hex(text),
        "terms": text.decode(),
        "private": {name: list(pair) for name, pair in private.items()},
        "words": WORDS,
    }

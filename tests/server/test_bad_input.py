"""Wrong calls, each with its clear message: code, status, and words that name the thing and what to do next."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from tests.api.world import SCOPE, WISH, World

REQUEST = "req_01JDC8Z0M4T9YV2K3R5W7X8Q4M"


@dataclass(frozen=True)
class Wrong:
    name: str
    status: int
    code: str
    says: str
    method: str = "POST"
    path: str = "/requests"
    body: Any = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    signed_in: bool = True


def scope(**changes: Any) -> dict[str, Any]:
    return {**WISH, "scopes": [{**SCOPE, **changes}]}


def deep(levels: int) -> bytes:
    return b'{"scopes":' + b"[" * levels + b"]" * levels + b"}"


CALLS = [
    Wrong("duration of zero", 422, "invalid_field", "/duration_s", body={**WISH, "duration_s": 0}),
    Wrong("duration as text", 422, "invalid_field", "/duration_s", body={**WISH, "duration_s": "30m"}),
    Wrong("duration as a fraction", 422, "invalid_field", "/duration_s", body={**WISH, "duration_s": 1.5}),
    Wrong("unknown source", 422, "scope_invalid", "There is no source 'elsewhere'", body=scope(source="elsewhere")),
    Wrong("broken selector", 422, "scope_invalid", "column 19", body=scope(selector='{service="pay-api"')),
    Wrong(
        "selector too free", 422, "scope_undecidable", "cannot be compared", body=scope(selector='{service=~".*a+"}')
    ),
    Wrong("foreign label", 422, "label_not_requestable", "no label env", body=scope(selector='{env="prod"}')),
    Wrong("all streams unsaid", 422, "scope_invalid", "constrains nothing", body=scope(selector="{}")),
    Wrong("two starts", 422, "window_invalid", "two starts", body=scope(window={"lookback_s": 5, "from_ns": "1"})),
    Wrong("no start", 422, "window_invalid", "no start", body=scope(window={})),
    Wrong(
        "window that ends first",
        422,
        "window_invalid",
        "ends before it starts",
        body=scope(window={"from_ns": "20", "to_ns": "10"}),
    ),
    Wrong("time as a number", 422, "invalid_field", "from_ns", body=scope(window={"from_ns": 1_700_000_000})),
    Wrong("time beyond 64 bits", 422, "invalid_field", "too large", body=scope(window={"from_ns": "9" * 19})),
    Wrong("unknown level", 422, "invalid_field", "level_from", body=scope(level_from="loud")),
    Wrong(
        "scope outside policy",
        403,
        "policy_denied|guardrail_denied",
        "olicy",
        body=scope(window={"lookback_s": 90_000}),
    ),
    Wrong("no masking", 403, "guardrail_denied|policy_denied|profile_unknown", "", body=scope(profile="raw")),
    Wrong("no reason", 422, "reason_required", "reason", body={**WISH, "reason": ""}),
    Wrong("two scopes", 422, "invalid_field", "/scopes", body={**WISH, "scopes": [SCOPE, SCOPE]}),
    Wrong("unknown field", 422, "unknown_field", "/approved", body={**WISH, "approved": True}),
    Wrong("null for absent", 422, "invalid_field", "/reason", body={**WISH, "reason": None}),
    Wrong("doubled key", 400, "malformed", "'reason' comes twice", raw=b'{"reason":"a","reason":"b"}'),
    Wrong("not JSON", 400, "malformed", "line 1, column 2", raw=b"{nope}"),
    Wrong("not UTF-8", 400, "malformed", "UTF-8 at byte 11", raw=b'{"reason":"\xff"}'),
    Wrong("NaN", 400, "malformed", "NaN", raw=b'{"duration_s":NaN}'),
    Wrong("huge number", 400, "malformed", "2^53", raw=b'{"duration_s":90071992547409930}'),
    Wrong("half a character", 400, "malformed", "half a character", raw=b'{"reason":"\\ud800"}'),
    Wrong("NUL", 400, "malformed", "NUL", raw=b'{"reason":"\\u0000"}'),
    Wrong("oversized body", 413, "too_large", "262144", raw=b'{"reason":"' + b"x" * 300_000 + b'"}'),
    Wrong("nested too deep", 413, "too_large", "16 levels", raw=deep(40)),
    Wrong(
        "wrong content type",
        415,
        "unsupported_media_type",
        "application/json",
        headers={"Content-Type": "text/plain"},
        raw=b"{}",
    ),
    Wrong(
        "form",
        415,
        "unsupported_media_type",
        "application/json",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        raw=b"a=1",
    ),
    Wrong(
        "no idempotency key",
        400,
        "idempotency_key_required",
        "Idempotency-Key",
        body=WISH,
        headers={"Idempotency-Key": ""},
    ),
    Wrong(
        "key with spaces", 400, "idempotency_key_required", "printable", body=WISH, headers={"Idempotency-Key": "a b"}
    ),
    Wrong("unknown parameter", 400, "unknown_parameter", "'stat'", "GET", "/requests?stat=pending"),
    Wrong("doubled parameter", 400, "unknown_parameter", "comes twice", "GET", "/requests?limit=5&limit=6"),
    Wrong("unknown state", 422, "invalid_field", "/state", "GET", "/requests?state=done"),
    Wrong("page too long", 422, "invalid_field", "/limit", "GET", "/requests?limit=1000"),
    Wrong("foreign cursor", 400, "invalid_cursor", "not valid for this list", "GET", "/requests?cursor=AAAA"),
    Wrong("token in the address", 400, "unknown_parameter", "credential", "GET", "/requests?access_token=abc"),
    Wrong("no such request", 404, "not_found", REQUEST, "GET", f"/requests/{REQUEST}"),
    Wrong("broken identifier", 400, "malformed", "wrong form", "GET", "/requests/req_1"),
    Wrong("identifier of another kind", 400, "malformed", "wrong form", "GET", f"/grants/{REQUEST}"),
    Wrong("wrong method", 405, "method_not_allowed", "DELETE", "DELETE", "/requests"),
    Wrong("no such path", 404, "not_found", "nothing at this path", "GET", "/wishes"),
    Wrong(
        "body where none is taken", 422, "unknown_field", "no body", path=f"/requests/{REQUEST}/cancel", body={"a": 1}
    ),
    Wrong("nobody", 401, "not_authenticated", "no sign-in", body=WISH, signed_in=False),
    Wrong("edited token", 401, "not_authenticated", "no valid", body=WISH, headers={"Authorization": "Bearer llp_abc"}),
    Wrong("another scheme", 401, "not_authenticated", "bearer", body=WISH, headers={"Authorization": "Basic YTpi"}),
    Wrong("lock without a name", 422, "invalid_field", "/on", path="/locks", body={"on": "person", "reason": "x"}),
    Wrong(
        "lock on a place", 422, "invalid_field", "/on", path="/revocations", body={"on": "planet:mars", "reason": "x"}
    ),
    Wrong("revoke no grant", 400, "malformed", "grt_", path="/revocations", body={"on": "grant:grt_1", "reason": "x"}),
    Wrong(
        "lock that has passed",
        422,
        "invalid_field",
        "ended already",
        path="/locks",
        body={"on": "everything", "reason": "x", "until": "2020-01-01T00:00:00Z"},
    ),
    Wrong(
        "lock until some time",
        422,
        "invalid_field",
        "not a time",
        path="/locks",
        body={"on": "everything", "reason": "x", "until": "soon"},
    ),
    Wrong(
        "short password",
        422,
        "invalid_field",
        "fewer than 12",
        path="/principals",
        body={"account": "eve", "password": "short"},
    ),
    Wrong(
        "common password",
        422,
        "invalid_field",
        "first that anybody tries",
        path="/principals",
        body={"account": "eve", "password": "Password123456"},
    ),
    Wrong(
        "name that looks like another",
        422,
        "invalid_field",
        "account name",
        path="/principals",
        body={"account": "ad\u200bmin"},
    ),
    Wrong("name that is taken", 422, "invalid_field", "already", path="/principals", body={"account": "ADMIN"}),
    Wrong(
        "role that does not exist",
        422,
        "invalid_field",
        "/roles/0",
        path="/principals",
        body={"account": "eve", "roles": ["root"]},
    ),
    Wrong(
        "token without an end",
        422,
        "invalid_field",
        "/expires_in_s",
        path="/tokens",
        body={"label": "ci", "rights": ["logs.read"]},
    ),
    Wrong(
        "token for years",
        422,
        "invalid_field",
        "90 days",
        path="/tokens",
        body={"label": "ci", "rights": ["logs.read"], "expires_in_s": 99_999_999},
    ),
    Wrong(
        "token without rights",
        422,
        "invalid_field",
        "good for nothing",
        path="/tokens",
        body={"label": "ci", "expires_in_s": 60},
    ),
    Wrong(
        "right to review",
        422,
        "invalid_field",
        "/rights/0",
        path="/tokens",
        body={"label": "ci", "rights": ["reviews.write"], "expires_in_s": 60},
    ),
]


@pytest.fixture
async def admin(world: World) -> dict[str, str]:
    await world.add("bob@example.com", groups=("approvers",))
    return await world.sign_in("admin", world.admin_password)


async def answer_of(world: World, wrong: Wrong, admin: dict[str, str]) -> httpx2.Response:
    content = wrong.raw or (b"" if wrong.body is None else json.dumps(wrong.body).encode())
    headers = {"Content-Type": "application/json", **world.key()}
    headers |= {**(admin if wrong.signed_in else {}), **wrong.headers}
    return await world.client.request(wrong.method, wrong.path, content=content, headers=headers)


async def test_every_wrong_call_has_its_clear_answer(world: World, admin: dict[str, str]) -> None:
    assert len(CALLS) > 50
    unclear = []
    for wrong in CALLS:
        answer = await answer_of(world, wrong, admin)
        problem = answer.json()
        clear = (
            answer.status_code == wrong.status == problem["status"]
            and problem["code"] in wrong.code.split("|")
            and wrong.says in json.dumps(problem, ensure_ascii=False)
            and problem["type"] == f"/problems/{problem['code']}"
            and bool(problem["next"][0]["text"])
            and answer.headers["content-type"] == "application/problem+json"
        )
        if not clear:
            unclear.append((wrong.name, wrong.code, wrong.says, answer.status_code, answer.text))
    assert unclear == []


async def test_an_edited_digest_is_answered_with_the_present_one(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    request = (await world.created("/requests", WISH, alice)).json()
    path = f"/requests/{request['id']}/reviews"
    edited = request["digest"][:-1] + ("0" if request["digest"][-1] != "0" else "1")
    answer = await world.created(path, {"verdict": "approve"}, bob, **{"If-Match": f'"{edited}"'})
    assert (answer.status_code, answer.json()["code"]) == (412, "digest_mismatch")
    assert answer.json()["present"] == request["digest"]
    missing = await world.created(path, {"verdict": "approve"}, bob)
    assert (missing.status_code, missing.json()["code"]) == (428, "precondition_required")
    for form in ("9f2c", 'W/"9f2c"', '"a", "b"', "*"):
        answer = await world.created(path, {"verdict": "approve"}, bob, **{"If-Match": form})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")


async def test_a_narrowing_that_widens_is_refused(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    request = (await world.created("/requests", WISH, alice)).json()
    match = {"If-Match": f'"{request["digest"]}"'}
    path = f"/requests/{request['id']}/reviews"
    for narrow, code in (
        ({"duration_s": 86_400}, "narrowing_not_subset"),
        ({"selector": '{service=~".+"}'}, "narrowing_not_subset"),
        ({"selector": '{service="other"}'}, "narrowing_empty"),
    ):
        answer = await world.created(path, {"verdict": "approve", "narrow": narrow}, bob, **match)
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text


async def test_what_was_decided_stays_decided(world: World) -> None:
    alice = await world.add("alice@example.com")
    bob = await world.add("bob@example.com", groups=("approvers",))
    grant = await world.approved(alice, bob)
    first = await world.client.post(f"/grants/{grant}/return", headers=alice)
    assert first.status_code == 200
    late = await world.client.post(f"/grants/{grant}/activate", headers=alice)
    assert (late.status_code, late.json()["code"]) == (409, "grant_ended")
    revoked = await world.created("/revocations", {"on": f"grant:{grant}", "reason": "late"}, bob)
    assert (revoked.status_code, revoked.json()["code"]) == (409, "grant_ended")

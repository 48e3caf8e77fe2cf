"""Reveal of one value at the gateway: exactly that value, once, recorded first, and only while its line is as served."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.gateway import OpenRules, insert_grant
from tests.gateway.world import T0, TOKEN, Answer, World, call, line, world

from loglease.access.errors import PolicyDenied
from loglease.access.reveal_draft import RevealDraft
from loglease.access.rules import Allowed
from loglease.access.who_saw import How, Looked, PseudonymWanted, Question, ValueWanted, Why, seen
from loglease.audit.interface import AuditUnavailable, Recorded
from loglease.model.digest import sha256_hex
from loglease.model.grant import Grant, GrantMove, GrantState, move
from loglease.model.instant import Interval
from loglease.model.key_scope import KeyScope
from loglease.model.labels import labels_of
from loglease.model.limits import Limits
from loglease.model.offer import Terms
from loglease.model.scope import Level
from loglease.model.selector_text import parse_selector
from loglease.sources.interface import SourceUnavailable

TEXT = 'login user=bob@a.example card={"n": 4111111111111111} password=hunter2secret seen'


async def served(w: World, grant: Grant) -> dict[str, Any]:
    """Return the record of the line at T0."""
    answer = await call(w, f"/g/{grant.id}/logs?start=0")
    return next(one for one in answer.records if one.get("ts") == str(T0))


async def approved(
    w: World,
    parent: Grant,
    record: dict[str, Any],
    token: str,
    cls: str,
    *,
    span: int | None = None,
    forged: dict[str, Any] | None = None,
) -> Grant:
    """Store the grant that comes of a request to reveal a token, as it is asked for by the holder of `parent`.

    `forged` replaces what no request could have in it.
    """
    draft = RevealDraft(
        grant=parent.id,
        token=token,
        cls=cls,
        labels=labels_of(record["labels"]),
        event_ns=int(record["ts"]),
        text=record["line"],
        reason="a test",
        span=span,
    )
    caller = w.callers[TOKEN]
    wish = await w.store.read(lambda tx: draft.at(tx, caller, w.clock.now()))
    assert wish.reveal is not None
    return await insert_grant(
        w.log,
        w.alice,
        Terms(scopes=wish.scopes, duration_s=600, limits=Limits()),
        now=w.clock.now(),
        epoch=w.watch.epoch,
        state=GrantState.SCHEDULED,
        single_use=True,
        reveal=replace(wish.reveal, **(forged or {})),
    )


async def use(w: World, grant: Grant, token: str = TOKEN) -> Answer:
    return await call(w, f"/g/{grant.id}/reveal", token, "Content-Length: 0", method="POST")


def code(answer: Answer) -> str:
    return answer.body.decode().partition(":")[0]


def all_bytes(folder: Path) -> bytes:
    return b"".join(one.read_bytes() for one in folder.rglob("*") if one.is_file())


def tokens(record: dict[str, Any]) -> list[str]:
    return [f"⟦{part.partition('⟧')[0]}⟧" for part in record["line"].split("⟦")[1:]]


def a_world(tmp_path: Path, *more: Any, text: str = TEXT) -> Any:
    return world(tmp_path, lines=[line(T0, text, service="a"), *more])


@pytest.mark.parametrize(
    ("number", "cls", "value", "is_pseudonym"),
    [
        (0, "pii.email", "bob@a.example", True),
        (1, "pci.card", "4111111111111111", False),
        (2, "credential.password", "hunter2secret", False),
    ],
)
async def test_one_value_is_shown_once_and_recorded_before(
    tmp_path: Path, number: int, cls: str, value: str, is_pseudonym: bool
) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        token = tokens(record)[number]
        grant = await approved(w, parent, record, token, cls)
        answer = await use(w, grant)
        assert answer.status == 200
        assert json.loads(answer.body) == {"value": value}
        assert answer.header("cache-control") == "no-store"
        entries = await w.entries("reveal.served")
        assert [entry["data"]["class"] for entry in entries] == [cls]
        assert [entry["data"].get("pseudonym") for entry in entries] == [token if is_pseudonym else None]
        assert entries[0]["ref"]["grant"] == grant.id
        again = await use(w, grant)
        assert (again.status, code(again)) == (403, "grant_ended")
        assert len(await w.entries("reveal.served")) == 1
        stored = await w.stored_grant(grant)
        assert (stored.state, stored.ended_why) == (GrantState.ENDED, "used")


async def test_the_entries_of_a_use_come_in_the_order_that_a_verifier_wants(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        await use(w, grant)
        rows = await w.store.read(lambda tx: tx.entries.since(0))
        found = [json.loads(row.content) for row in rows]
        mine = [one for one in found if one.get("ref", {}).get("grant") == grant.id]
        assert [one["type"] for one in mine] == [
            "grant.activated",
            "session.opened",
            "reveal.served",
            "session.closed",
            "grant.ended",
        ]
        assert mine[1]["data"]["kind"] == "reveal"
        assert mine[3]["data"]["total"] == {"lines": 0, "bytes": 0}


async def test_of_many_uses_at_once_exactly_one_is_answered(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        answers = await asyncio.gather(*(use(w, grant) for _ in range(8)))
        assert sorted(answer.status for answer in answers) == [200] + [403] * 7
        assert sum(b"bob@a.example" in answer.raw for answer in answers) == 1
        assert len(await w.entries("reveal.served")) == 1


async def test_nobody_else_uses_it(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        assert (await use(w, grant, "llp_bob")).status == 404
        assert (await use(w, grant, "llp_nobody")).status == 401
        w.callers["llg"] = replace(w.callers[TOKEN], only_grant=parent.id)
        assert (await use(w, grant, "llg")).status == 404
        assert await w.entries("reveal.served") == []


async def test_a_sign_in_that_is_too_old_reveals_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        w.callers["llp_old"] = replace(w.callers[TOKEN], signed_in_at=None)
        answer = await use(w, grant, "llp_old")
        assert (answer.status, code(answer)) == (401, "step_up_required")


async def test_a_grant_to_read_reveals_nothing_and_one_to_reveal_reads_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        assert (await use(w, parent)).status == 403
        assert (await call(w, f"/g/{grant.id}/logs?start=0")).status == 403
        assert (await call(w, f"/g/{grant.id}/loki/api/v1/labels?start=0")).status == 403
        # The plain address does not see it either: the line comes once, under the grant to read.
        plain = await call(w, "/logs?start=0")
        assert len(plain.lines) == 1


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        *((method, "/g/{}/reveal", (), 405) for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS")),
        *(
            ("POST", path, (), 404)
            for path in ("/reveal", "/g/{}/reveal/", "/g/{}/Reveal", "/g/{}//reveal", "/g/{}/reveal;v=1", "/g/reveal")
        ),
        ("POST", "/g/{}/reveal", ("Content-Length: 2",), 400),
        ("POST", "/g/{}/reveal?token=llp_test", (), 400),
        ("POST", "/g/{}/reveal?access_token=x", (), 400),
    ],
)
async def test_neighbours_of_the_route_use_nothing_up(
    tmp_path: Path, method: str, path: str, fields: tuple[str, ...], status: int
) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        answer = await call(w, path.format(grant.id), TOKEN, *fields, method=method)
        assert answer.status == status
        if status == 405:
            assert answer.header("allow") == "POST"
        assert json.loads((await use(w, grant)).body) == {"value": "bob@a.example"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"span": 2}, "another span"),
        ({"span": 9}, "no such span"),
        ({"token": "⟦email:aaaaaaaaaa⟧"}, "a forged token"),
        ({"cls": "pii.phone"}, "another class"),
        ({"line_sha256": "0" * 64}, "another line"),
        ({"event_ns": T0 + 1}, "another time"),
        ({"labels": (("service", "b"),)}, "another stream"),
    ],
)
async def test_what_is_not_exactly_as_it_was_served_is_not_available(
    tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        good = await approved(w, parent, record, tokens(record)[0], "pii.email")
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email", forged=changes)
        answer = await use(w, grant)
        assert (answer.status, code(answer)) == (409, "line_not_available"), why
        assert b"bob" not in answer.raw
        assert await w.entries("reveal.served") == []
        stored = await w.stored_grant(grant)
        assert stored.state is GrantState.SCHEDULED
        assert (await use(w, good)).status == 200


async def test_a_line_that_changed_or_is_gone_is_not_available_and_uses_nothing_up(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        kept = w.reader.lines
        for lines in ([], [line(T0, TEXT.replace("bob", "eve"), service="a")], [line(T0, TEXT + ".", service="a")]):
            w.reader.lines = lines
            assert (await use(w, grant)).status == 409
        w.reader.lines = kept
        assert (await use(w, grant)).status == 200


async def test_of_lines_that_look_the_same_it_is_the_first_whatever_differs_under_their_masks(tmp_path: Path) -> None:
    raws = set()
    for other in (TEXT, TEXT.replace("hunter2secret", "differentsecret")):
        folder = tmp_path / str(len(other))
        async with a_world(folder, line(T0, other, service="a")) as w:
            parent = await w.grant(profile="pii-default@1")
            record = await served(w, parent)
            grant = await approved(w, parent, record, tokens(record)[2], "credential.password")
            answer = await use(w, grant)
            assert json.loads(answer.body) == {"value": "hunter2secret"}
            raws.add(answer.raw)
    assert len(raws) == 1


async def test_a_loose_source_does_not_widen_what_is_looked_at(tmp_path: Path) -> None:
    lines = [line(T0, TEXT, service="a"), line(T0, TEXT, service="hidden"), line(T0 + 1, TEXT, service="a")]
    async with world(tmp_path, lines=lines, loose=True) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        assert json.loads((await use(w, grant)).body) == {"value": "bob@a.example"}


async def test_a_line_that_the_line_rules_do_not_admit_is_not_there(tmp_path: Path) -> None:
    async with a_world(tmp_path, text="level=info user=bob@a.example") as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        strict = await w.grant(profile="pii-default@1", level=Level.ERROR)
        grant = await approved(w, strict, record, tokens(record)[0], "pii.email", forged={"line_sha256": "0" * 64})
        assert (await use(w, grant)).status == 409


async def test_a_token_of_one_grant_is_none_of_another(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        other = await w.grant(profile="pii-default@1", key_salt=b"t" * 32)
        record = await served(w, parent)
        grant = await approved(w, other, record, tokens(record)[0], "pii.email")
        assert (await use(w, grant)).status == 409


async def test_a_value_in_disguise_is_shown_as_it_stands_and_without_control_characters(tmp_path: Path) -> None:
    async with a_world(tmp_path, text="user=bob%40a.example pw password=a\x1b[31mb\x07cdefgh1 x") as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        found = tokens(record)
        first = await approved(w, parent, record, found[0], "pii.email")
        assert json.loads((await use(w, first)).body) == {"value": "bob%40a.example"}
        second = await approved(w, parent, record, found[1], "credential.password")
        value = json.loads((await use(w, second)).body)["value"]
        assert "\x1b" not in value
        assert "\x07" not in value


@pytest.mark.parametrize("text", ["x" * 200 + "\0" * 200, "a" * (1 << 20) + "b"])
async def test_what_stands_for_a_line_is_never_revealed(tmp_path: Path, text: str) -> None:
    async with a_world(tmp_path, text=text) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        shown = {**record, "line": f"x {record['line']}"}
        grant = await approved(w, parent, shown, tokens(record)[0], "limit")
        # As if somebody had brought it about that this was approved all the same.
        digest = sha256_hex(record["line"].encode())
        forged = await approved(w, parent, shown, tokens(record)[0], "limit", forged={"line_sha256": digest})
        for one in (grant, forged):
            assert (await use(w, one)).status == 409


async def test_raw_has_no_tokens_so_a_forged_one_reveals_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path, text="user=⟦email:aaaaaaaaaa⟧ x") as w:
        parent = await w.grant(profile="raw@1")
        record = await served(w, parent)
        assert "⟦" not in record["line"]
        forged = {**record, "line": "user=⟦email:aaaaaaaaaa⟧ x"}
        grant = await approved(w, parent, forged, "email:aaaaaaaaaa", "pii.email")
        assert (await use(w, grant)).status == 409


async def test_a_revoked_or_ended_parent_ends_it(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        await w.revoke(parent)
        assert (await use(w, grant)).status == 403
        assert (await w.stored_grant(grant)).state is GrantState.REVOKED
        revoked = {entry["ref"]["grant"] for entry in await w.entries("grant.revoked")}
        assert revoked == {parent.id, grant.id}

        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")

        def given_back(tx: Any, now: Any) -> Recorded[None]:
            found = tx.grants.find(parent.id)
            tx.grants.update(move(found, GrantMove.RETURN, by=w.alice.id, now=now))
            return Recorded(None)

        await w.log.commit(given_back)
        answer = await use(w, grant)
        assert (answer.status, code(answer)) == (403, "grant_ended")
        assert parent.id in answer.body.decode()


async def test_the_end_of_the_parent_by_the_clock_ends_it(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1", duration_s=100)
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        w.clock.ahead_us = 101 * 1_000_000
        await w.watch.poll()
        assert (await use(w, grant)).status == 403


async def test_a_revocation_while_the_line_is_looked_for_is_not_overtaken(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        read = w.reader.read

        async def slow(plan: Any) -> Any:
            await w.revoke(parent)
            async for page in read(plan):
                yield page

        w.reader.read = slow  # type: ignore[method-assign]
        answer = await use(w, grant)
        assert answer.status == 403
        assert b"bob" not in answer.raw
        assert await w.entries("reveal.served") == []


async def test_without_a_record_nothing_is_shown(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        w.log.fail_with = lambda: AuditUnavailable("The disk is full.")
        answer = await use(w, grant)
        w.log.fail_with = None
        assert answer.status == 503
        assert b"bob" not in answer.raw
        assert (await use(w, grant)).status == 200


async def test_a_record_that_came_about_unheard_uses_it_up(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        commit = w.log.commit

        async def unheard(work: Any, **options: Any) -> Any:
            await commit(work, **options)
            raise AuditUnavailable("It was not on the record in time.")

        w.log.commit = unheard  # type: ignore[method-assign]
        answer = await use(w, grant)
        w.log.commit = commit  # type: ignore[method-assign]
        assert answer.status == 503
        assert b"bob" not in answer.raw
        assert (await use(w, grant)).status == 403


async def test_a_source_that_fails_uses_nothing_up(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
        w.reader.failure = SourceUnavailable("The source is away.")
        assert (await use(w, grant)).status == 502
        w.reader.failure = None
        assert (await use(w, grant)).status == 200


async def test_a_mask_over_more_classes_than_policy_reveals_is_not_available(tmp_path: Path) -> None:
    class Named(OpenRules):
        """Rules that reveal values of one class."""

        def still_allowed(self, _point: object, request: Any, terms: Terms, *_: object) -> Allowed:
            reveal = request.wish.reveal
            if reveal is not None and reveal.cls != "credential.password":
                raise PolicyDenied("No.")
            return Allowed(terms=terms, network_bound=False, pseudonyms=KeyScope.GRANT)

    async with a_world(tmp_path, text="password=bob@a.example password=justsecret1 x") as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        mixed, alone = [
            await approved(w, parent, record, tokens(record)[0], "credential.password", span=span) for span in (1, 2)
        ]
        object.__setattr__(w.gateway._services, "rules", Named)
        object.__setattr__(w.gateway._sessions._services, "rules", Named)
        answer = await use(w, mixed)
        assert (answer.status, code(answer)) == (409, "line_not_available")
        assert json.loads((await use(w, alone)).body) == {"value": "justsecret1"}


async def test_the_value_stands_nowhere_but_in_the_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        for number, cls in ((0, "pii.email"), (2, "credential.password")):
            grant = await approved(w, parent, record, tokens(record)[number], cls)
            assert (await use(w, grant)).status == 200
        await w.entries("reveal.served")
    stored = all_bytes(tmp_path)
    for value in ("hunter2secret", "bob@a.example"):
        assert value.encode() not in stored
        assert value not in caplog.text


@pytest.mark.parametrize(
    "changed",
    [
        TEXT.replace("hunter2secret", "another-secret9"),
        TEXT.replace("4111111111111111", "5500000000081111"),
    ],
)
async def test_an_answer_depends_on_nothing_but_its_value(tmp_path: Path, changed: str) -> None:
    """Twins: what is masked elsewhere on the line, on other lines and outside of the scope changes no byte."""
    raws = []
    hidden = [line(T0 + 1, "password=other-one1", service="a"), line(T0, "outside", service="z")]
    for number, (text, more) in enumerate(((TEXT, []), (changed, hidden))):
        async with a_world(tmp_path / str(number), *more, text=text) as w:
            parent = await w.grant(profile="pii-default@1", grant_id="grt_01JDC91T7KT9YV2K3R5W7X87XK")
            record = await served(w, parent)
            grant = await approved(w, parent, record, tokens(record)[0], "pii.email")
            raws.append((await use(w, grant)).raw)
    assert raws[0] == raws[1]


async def test_who_saw_a_value_in_clear_is_told_with_who_saw_its_pseudonym(tmp_path: Path) -> None:
    async with a_world(tmp_path) as w:
        parent = await w.grant(profile="pii-default@1")
        record = await served(w, parent)
        shown = tokens(record)
        for number, cls in ((0, "pii.email"), (2, "credential.password")):
            assert (await use(w, await approved(w, parent, record, shown[number], cls))).status == 200
        entries = await w.entries("reveal.served")

        async def told(question: Question) -> set[tuple[How, Why | None, str]]:
            found = await w.store.read(lambda tx: seen(tx, question))
            return {(hit.how, hit.why, hit.grant) for hit in found.hits}

        email, password = (entry["ref"]["grant"] for entry in entries)
        assert await told(Question(wanted=PseudonymWanted(grant=parent.id, pseudonym=shown[0]))) == {
            (How.SERVED, None, parent.id),
            (How.REVEALED, None, email),
        }
        # A password has no pseudonym, so which one was revealed cannot be told.
        looked = Looked(frozenset(), {"pii-default@1": "class_masked"})
        classes = frozenset({"credential.password"})
        value = ValueWanted(cls="password", classes=classes, look=lambda _: looked)
        assert await told(Question(wanted=value)) == {(How.POSSIBLE, Why.NO_PSEUDONYM, password)}
        for window, expected in (((T0, T0 + 1), {email, password}), ((T0 + 1, None), set())):
            seen_then = await told(Question(window=Interval(*window), hows=frozenset({How.REVEALED})))
            assert {grant for _, _, grant in seen_then} == expected
        by_stream = Question(selector=parse_selector('{service="b"}'), hows=frozenset({How.REVEALED}))
        assert await told(by_stream) == set()

"""What each report says of logs written by hand."""

from __future__ import annotations

from tests.audit.report.logs import ADMIN, ALICE, BOB, CAROL, DIGEST, Log, at, facts_of, rows_of, text

from loglease.audit.report.access_review import months_after
from loglease.audit.report.asking import MayDo, Person, Rights, Sink
from loglease.audit.report.folds import ranked
from loglease.model.instant import instant_text, parse_instant


def story() -> Log:
    """Alice gets a grant from Bob and reads; Bob's request is denied by Carol; Carol's is never decided."""
    log = Log()
    log.started()
    log.granted("one")
    log.opened("one", "a")
    log.served("one", "a", 40)
    log.wait(10)
    log.revoked("one")
    log.wait(0.5)
    log.closed("one", "a", "revoked", uncertain=3)
    log.submitted("two", BOB)
    log.offered("two", BOB)
    log.wait(5)
    log.reviewed("two", CAROL, "deny")
    log.entry("request.denied", {"by": "review", "review": "rev_two_1"}, request="req_two")
    log.wait(100)
    log.submitted("three", CAROL)
    log.offered("three", CAROL)
    return log


def test_population_lists_all_of_each_kind_with_its_entries() -> None:
    found = story().document("population")
    requests = rows_of(found, "requests")
    assert [(one["request"], one["outcome"], one.get("grant")) for one in requests] == [
        ("req_one", "approved", "grt_one"),
        ("req_two", "denied", None),
        ("req_three", "open", None),
    ]
    assert requests[0]["requester"] == ALICE
    assert requests[0]["requester_name"] == "Alice"
    assert requests[0]["entries"] == [1, 2, 3, 4, 5, 6, 9]
    assert [(one["review"], one["verdict"], one["after_s"]) for one in rows_of(found, "reviews")] == [
        ("rev_one_1", "approve", 60),
        ("rev_two_1", "deny", 5),
    ]
    (grant,) = rows_of(found, "grants")
    assert (grant["holder_name"], grant["approvers_name"], grant["state"]) == ("Alice", ["Bob"], "revoked")
    (revocation,) = rows_of(found, "revocations")
    assert (revocation["grant"], revocation["by"], revocation["entries"]) == ("grt_one", ADMIN, [9])


def test_population_proves_that_nothing_is_missing() -> None:
    log = story()
    found = log.document("population")
    facts = facts_of(found)
    assert (facts["entries"], facts["first_index"], facts["last_index"]) == (17, 0, 16)
    assert (facts["dense"], facts["root_holds"], facts["checkpoint_size"]) == (True, True, 17)
    assert facts["checkpoint_root"] == log.head().root.hex()
    counted = {one["type"]: (one["count"], one["first"]) for one in rows_of(found, "types")}
    assert counted["grant.revoked"] == (1, 9)
    assert sum(count for count, _ in counted.values()) == 17


def test_a_missing_entry_and_another_root_show() -> None:
    log = story()
    whole = log.beside()
    del log.rows[8]
    facts = facts_of(log.document("population", beside=whole))
    assert (facts["dense"], facts["root_holds"]) == (False, None)
    log = story()
    whole = log.beside()
    del log.rows[-1]
    assert facts_of(log.document("population", beside=whole))["dense"] is False, "the newest entry is missing, too"
    log = story()
    forged = log.head()
    log.rows[8] = (8, log.rows[7][1], None)
    facts = facts_of(log.document("population", beside=log.beside(head=forged)))
    assert (facts["dense"], facts["root_holds"]) == (True, False)


def test_what_has_no_request_is_counted_where_it_cannot_be_listed() -> None:
    log = story()
    assert facts_of(log.document("population"))["strays"] == 0
    log.reviewed("gone")
    log.scheduled("gone")
    found = log.document("population")
    assert facts_of(found)["strays"] == 2
    assert facts_of(found)["reviews"] == 2


def test_the_root_is_compared_at_the_size_of_the_checkpoint() -> None:
    log = story()
    found = log.document("population", beside=log.beside(head=log.head(5)))
    assert facts_of(found)["root_holds"] is True
    assert any("index 5 on" in one for one in found["unknown"])
    unsigned = log.document("population", beside=log.beside(head=None))
    assert facts_of(unsigned)["root_holds"] is None
    assert any("no signed checkpoint" in one for one in unsigned["unknown"])


def test_a_range_takes_what_began_in_it_as_it_was_at_its_end() -> None:
    log = story()
    found = log.document("population", start=71, end=80)
    assert [one["request"] for one in rows_of(found, "requests")] == []
    found = log.document("population", start=0, end=65)
    (request,) = rows_of(found, "requests")
    assert request["outcome"] == "approved"
    assert [one["state"] for one in rows_of(found, "grants")] == ["active"]
    assert rows_of(found, "revocations") == []
    facts = facts_of(found)
    assert (facts["entries"], facts["last_index"], facts["log_size"], facts["root_holds"]) == (9, 8, 17, True)


def test_what_came_later_changes_nothing_of_a_past_range() -> None:
    log = story()
    before = log.document("segregation", end=80)
    log.granted("later", CAROL, ALICE)
    assert log.document("segregation", end=80)["tables"] == before["tables"]


def test_an_empty_range_has_empty_tables() -> None:
    for name in ("population", "segregation", "revocation", "break-glass", "unmasked", "elevations", "refusals"):
        found = story().document(name, start=5_000, end=5_001)
        assert all(one["rows"] == [] for one in found["tables"]), name
        assert found["evidence"] == []
    facts = facts_of(story().document("population", start=5_000, end=5_001))
    assert (facts["entries"], facts["first_index"], facts["dense"]) == (0, None, True)
    assert facts_of(Log().document("population"))["dense"] is True


def test_dossier_tells_one_grant_from_request_to_last_batch() -> None:
    log = story()
    rows, log.rows = log.rows, [row for row in log.rows if b"grt_one" in row[1] or b"req_one" in row[1]]
    found = log.document("dossier", grant="grt_one")
    kinds = [one["type"] for one in rows_of(found, "story")]
    assert kinds == [
        "request.submitted", "offer.made", "review.given", "request.approved", "grant.scheduled", "grant.activated",
        "session.opened", "batch.served", "grant.revoked", "session.closed",
    ]  # fmt: skip
    facts = facts_of(found)
    assert (facts["holder"], facts["state"], facts["lines"], facts["uncertain"]) == (ALICE, "revoked", 40, 3)
    assert facts["masked"] == ["pii.email 40"]
    assert [(one["stage"], one["selector"]) for one in rows_of(found, "scopes")] == [
        ("asked", "service = pay-api"), ("offered", "service = pay-api"), ("granted", "service = pay-api"),
    ]  # fmt: skip
    (session,) = rows_of(found, "sessions")
    assert (session["why"], session["batches"], session["lines"], session["uncertain_lines"]) == ("revoked", 1, 40, 3)
    (review,) = rows_of(found, "reviews")
    assert (review["counted"], review["reviewer_name"]) == (True, "Bob")
    assert found["evidence"] == [index for index, content, _ in rows if b"req_one" in content]


def test_segregation_finds_own_approvals_pairs_concentration_and_haste() -> None:
    log = Log()
    log.entry("principal.added", {"subject": "sub_bot", "kind": "agent", "owner": BOB}, by=ADMIN)
    change = {"subject": ALICE, "change": "linked", "other": CAROL, "names": []}
    log.entry("principal.changed", change, by=ADMIN)
    log.granted("one", ALICE, BOB)
    log.granted("two", BOB, ALICE, wait_s=9)
    log.granted("three", ALICE, BOB, wait_s=10)
    log.granted("self", BOB, BOB)
    log.granted("owned", "sub_bot", BOB)
    log.granted("linked", ALICE, CAROL)
    log.entry("principal.changed", {**change, "change": "unlinked"}, by=ADMIN)
    log.granted("apart", ALICE, CAROL)
    found = log.document("segregation")
    own = [(one["request"], one["relation"]) for one in rows_of(found, "own_approvals")]
    assert own == [
        ("req_self", "requester"), ("req_owned", "owner of the requester"), ("req_linked", "linked to the requester"),
    ]  # fmt: skip
    (pair,) = rows_of(found, "reciprocal_pairs")
    assert (pair["one"], pair["other"], pair["one_approved"], pair["other_approved"]) == (ALICE, BOB, 1, 2)
    assert [one["request"] for one in rows_of(found, "quick_approvals")] == ["req_two"]
    reviewers = {one["reviewer"]: one for one in rows_of(found, "reviewers")}
    assert (reviewers[BOB]["approvals"], reviewers[BOB]["share_per_mille"], reviewers[BOB]["most_for"]) == (
        4,
        571,
        ALICE,
    )
    facts = facts_of(found)
    assert (facts["own_approvals"], facts["top_share_per_mille"], facts["approvals"]) == (3, 571, 7)


def test_revocation_measures_until_the_last_session_is_closed() -> None:
    log = Log()
    log.granted("one")
    log.opened("one", "a")
    log.opened("one", "b")
    log.granted("two", BOB, CAROL)
    log.revoked("one")
    log.wait(0.2)
    log.closed("one", "a", "revoked")
    log.wait(1.3)
    log.closed("one", "b", "revoked")
    log.opened("two", "c", BOB)
    log.entry("grant.suspended", {"cause": "person"}, by=ADMIN, request="req_two", grant="grt_two")
    found = log.document("revocation")
    cuts = [
        (one["grant"], one["act"], one["sessions"], one["still_open"], one.get("cut_ms"))
        for one in rows_of(found, "cuts")
    ]
    assert cuts == [("grt_one", "revoked", 2, 0, 1_500), ("grt_two", "suspended", 1, 1, None)]
    facts = facts_of(found)
    assert (facts["worst_ms"], facts["p50_ms"], facts["over_1_s"], facts["over_3_s"], facts["still_open"]) == (
        1_500,
        1_500,
        1,
        0,
        1,
    )
    assert rows_of(found, "cuts")[0]["holder_name"] == "Alice"


def test_a_late_revocation_counts_from_when_it_took_effect() -> None:
    log = Log()
    log.granted("one")
    log.opened("one", "a")
    effective = text(log.now_s)
    log.wait(4)
    log.revoked("one", effective_at=effective, late=True)
    log.closed("one", "a", "revoked")
    (cut,) = rows_of(log.document("revocation"), "cuts")
    assert (cut["cut_ms"], cut["late"]) == (4_000, True)


def test_leavers_keep_nothing_and_do_nothing_or_it_shows() -> None:
    log = Log()
    log.granted("one")
    log.granted("other", BOB, CAROL)
    log.opened("one", "a")
    log.entry("principal.changed", {"subject": ALICE, "change": "disabled", "names": []}, by=ADMIN)
    log.revoked("one")
    log.wait(0.3)
    log.closed("one", "a", "revoked")
    log.entry("signin.ended", {"why": "locked"}, by=ALICE, token="tok_1")
    log.entry("token.revoked", {"token": "tok_2", "subject": ALICE, "cause": "disabled"}, by=ADMIN, token="tok_2")
    log.submitted("ghost", ALICE)
    log.entry("principal.changed", {"subject": ALICE, "change": "enabled", "names": []}, by=ADMIN)
    log.submitted("back", ALICE)
    (leaver,) = rows_of(log.document("revocation"), "leavers")
    assert leaver["subject"] == ALICE
    assert (leaver["live_grants"], leaver["grants_left"], leaver["sessions"], leaver["cut_ms"]) == (1, 0, 1, 300)
    assert (leaver["sign_ins_ended"], leaver["tokens_revoked"], leaver["later_acts"]) == (1, 1, 1)


def test_break_glass_knows_what_is_overdue_late_and_justified() -> None:
    log = Log()
    for name in ("good", "late", "overdue"):
        log.submitted(name)
        log.offered(name, outcome="break_glass")
        log.scheduled(name, basis="break_glass", review_by_at=text(log.now_s + 100))
        log.activated(name)
    log.granted("ordinary")
    log.opened("good", "a")
    log.closed("good", "a", "crash", uncertain=7)
    log.entry(
        "breakglass.reviewed",
        {"verdict": "justified", "state": "justified"},
        by=BOB,
        request="req_good",
        grant="grt_good",
    )
    log.wait(200)
    log.entry(
        "breakglass.reviewed",
        {"verdict": "not_justified", "state": "not_justified"},
        by=BOB,
        request="req_late",
        grant="grt_late",
    )
    found = log.document("break-glass")
    register = {one["grant"]: (one["afterwards"], one["late"]) for one in rows_of(found, "register")}
    assert register == {
        "grt_good": ("justified", False),
        "grt_late": ("not_justified", True),
        "grt_overdue": ("open", True),
    }
    assert [one["uncertain_lines"] for one in rows_of(found, "register")] == [7, 0, 0]
    facts = facts_of(found)
    assert (facts["emergencies"], facts["overdue"], facts["late"], facts["not_justified"]) == (3, 1, 1, 1)
    more = {"verdict": "follow_up", "state": "follow_up"}
    log.entry("breakglass.reviewed", more, by=BOB, request="req_good", grant="grt_good")
    again = {one["grant"]: one for one in rows_of(log.document("break-glass"), "register")}
    assert (again["grt_good"]["afterwards"], again["grt_good"]["late"]) == ("follow_up", False), (
        "it was decided in time"
    )
    early = facts_of(log.document("break-glass", end=50))
    assert (early["emergencies"], early["overdue"]) == (3, 0)


def test_a_review_at_the_very_end_of_its_time_is_late() -> None:
    for wait_s, late in ((99.999999, False), (100, True)):
        log = Log()
        log.submitted("one")
        log.offered("one", outcome="break_glass")
        log.scheduled("one", basis="break_glass", review_by_at=text(100))
        first, last = ({"verdict": "justified", "state": state} for state in ("open", "justified"))
        log.entry("breakglass.reviewed", first, by=CAROL, request="req_one", grant="grt_one")
        log.wait(wait_s)
        log.entry("breakglass.reviewed", last, by=BOB, request="req_one", grant="grt_one")
        (row,) = rows_of(log.document("break-glass"), "register")
        assert row["late"] is late


def test_unmasked_lists_raw_grants_and_reveals() -> None:
    log = Log()
    log.granted("masked")
    log.granted("raw", profile="raw@1")
    log.opened("raw", "a")
    log.served("raw", "a", 12)
    log.closed("raw", "a")
    reveal = {"grant": "grt_masked", "class": "pii.email", "line_c": DIGEST}
    log.submitted("shown", reveal=reveal)
    log.offered("shown", reveal=reveal)
    log.reviewed("shown")
    log.approved("shown")
    log.scheduled("shown", reveal=reveal)
    served = {"class": "pii.email", "rule": "email", "line_c": DIGEST}
    log.entry("reveal.served", served, by=ALICE, request="req_shown", grant="grt_shown", session="ses_r")
    found = log.document("unmasked")
    (raw,) = rows_of(found, "raw_grants")
    assert (raw["grant"], raw["lines"], raw["approvers_name"]) == ("grt_raw", 12, ["Bob"])
    (shown,) = rows_of(found, "reveals")
    assert (shown["class"], shown["under_grant"], shown["approvers"]) == ("pii.email", "grt_masked", [BOB])
    assert facts_of(found)["raw_lines"] == 12


def lever(log: Log, **more: object) -> dict[str, object]:
    return {
        "lease": "lea_1", "target": "pay-api", "logger": "root", "driver": "http", "class": "runtime", "incarnation": "i1",
        "baseline": "info", "lease_epoch": 1, "keys_sha256": [], "delivery": "push", "until_at": text(log.now_s + 100),
        "boot_ms": 1, "verified": True, "ambiguous": False, **more,
    }  # fmt: skip


def test_elevations_come_back_or_are_overdue() -> None:
    log = Log()
    for name in ("back", "stuck", "failed"):
        ref = {"request": "req_1", "grant": "grt_1", "elevation": f"elv_{name}"}
        log.entry("elevation.pending", lever(log), by=ALICE, **ref)
        if name != "failed":
            log.entry("elevation.raised", lever(log, after="debug", before="info"), **ref)
    ref = {"request": "req_1", "grant": "grt_1"}
    back = lever(log, after="info", before="debug", lines=7)
    log.wait(50)
    log.entry("elevation.reverted", back, elevation="elv_back", **ref)
    log.entry("elevation.failed", lever(log, error="refused"), elevation="elv_failed", **ref)
    until = text(log.now_s + 10)
    log.entry("elevation.pending", lever(log, until_at=until), by=ALICE, elevation="elv_late", **ref)
    log.entry("elevation.raised", lever(log, until_at=until, after="debug"), elevation="elv_late", **ref)
    log.wait(11)
    log.entry("elevation.reverted", lever(log, until_at=until, after="info"), elevation="elv_late", **ref)
    finding = {"finding": "fnd_1", "target": "pay-api", "logger": "root", "kind": "drift", "level": "debug"}
    log.entry("finding.opened", finding)
    found = log.document("elevations", end=500)
    rows = {one["elevation"]: one for one in rows_of(found, "elevations")}
    assert (rows["elv_back"]["state"], rows["elv_back"]["back_to_baseline"], rows["elv_back"]["overdue"]) == (
        "reverted",
        True,
        False,
    )
    assert (rows["elv_stuck"]["state"], rows["elv_stuck"]["overdue"], rows["elv_stuck"]["raised_to"]) == (
        "raised",
        True,
        "debug",
    )
    assert (rows["elv_late"]["state"], rows["elv_late"]["overdue"]) == ("reverted", True)
    assert (rows["elv_failed"]["state"], rows["elv_failed"]["error"]) == ("failed", "refused")
    facts = facts_of(found)
    assert (facts["elevations"], facts["raised"], facts["reverted"], facts["unfinished"], facts["findings"]) == (
        4,
        3,
        2,
        1,
        1,
    )


def test_policy_history_knows_who_let_what_in() -> None:
    log = Log()
    log.started(config="b" * 64)
    loaded = {
        "bundle_sha256": DIGEST, "revision": 1, "trust": "managed", "reviewers": [], "signers": [], "needed": 0, "widens": False,
    }  # fmt: skip
    log.entry("policy.loaded", loaded)
    log.wait(10)
    proposed = {
        "digest_sha256": DIGEST, "bundle_sha256": DIGEST, "base_revision": 1, "files_sha256": DIGEST, "diff_sha256": DIGEST,
        "needed": 1, "widens": True, "comment_c": DIGEST,
    }  # fmt: skip
    log.entry("policy.proposed", proposed, by=ALICE, proposal="prp_1")
    reviewed = {
        "verdict": "approve",
        "digest_sha256": DIGEST,
        "channel": "web",
        "auth": {"method": "password", "mfa": True, "age_s": 1},
    }
    log.entry("policy.reviewed", reviewed, by=BOB, proposal="prp_1", review="rev_1")
    wider = {**loaded, "revision": 2, "author": ALICE, "reviewers": [BOB], "widens": True}
    log.entry("policy.loaded", wider, proposal="prp_1")
    log.entry("policy.loaded", {**loaded, "revision": 3, "author": ALICE, "reviewers": [ALICE], "widens": True})
    log.entry("policy.refused", {"error": "signature"})
    log.started("stop", config="c" * 64)
    beside = log.beside(changes=lambda proposal: [("wider", f"{proposal} adds a source")])
    found = log.document("policy-history", beside=beside)
    revisions = rows_of(found, "revisions")
    assert [(one["revision"], one["widens"], one.get("author_name")) for one in revisions] == [
        (1, False, None), (2, True, "Alice"), (3, True, "Alice"),
    ]  # fmt: skip
    assert revisions[0]["replaced_at"] == text(10)
    assert [(one["revision"], one["change"]) for one in rows_of(found, "changes")] == [(2, "prp_1 adds a source")]
    (proposal,) = rows_of(found, "proposals")
    assert (proposal["approvals"], proposal["outcome"]) == (1, "in force")
    (drift,) = rows_of(found, "configuration")
    assert (drift["before_sha256"], drift["after_sha256"]) == ("b" * 64, "c" * 64)
    facts = facts_of(found)
    assert (facts["revisions"], facts["widening"], facts["widening_alone"], facts["refused"]) == (3, 2, 1, 1)


def test_refusals_are_summed_exactly() -> None:
    log = Log()

    def refused(code: str, count: int, by: str, first_s: float) -> None:
        data = {
            "operation": "make_report",
            "code": code,
            "count": count,
            "first_at": text(first_s),
            "last_at": text(log.now_s),
        }
        log.entry("access.refused", data, by=by)

    refused("not_permitted", 1, ALICE, 0)
    log.wait(60)
    refused("not_permitted", 40, BOB, 1)
    refused("locked", 2, BOB, 60)
    failed = {"method": "password", "error": "wrong", "count": 3, "first_at": text(0), "last_at": text(60)}
    log.entry("signin.failed", failed)
    found = log.document("refusals")
    assert [(one["code"], one["calls"], one["callers"], one["first_at"]) for one in rows_of(found, "codes")] == [
        ("not_permitted", 41, 2, text(0)),
        ("locked", 2, 1, text(60)),
    ]
    assert [(one["caller"], one["calls"], one["codes"]) for one in rows_of(found, "callers")] == [
        (BOB, 42, ["locked", "not_permitted"]),
        (ALICE, 1, ["not_permitted"]),
    ]
    assert [(one["day"], one["refused"], one["failed_sign_ins"]) for one in rows_of(found, "days")] == [
        ("2026-11-23", 43, 3)
    ]
    facts = facts_of(found)
    assert (facts["refused"], facts["failed_sign_ins"], facts["codes"]) == (43, 3, 2)


def test_integrity_of_a_whole_log_holds() -> None:
    log = story()
    log.wait(3_600)
    log.started("crash")
    log.entry("hold.changed", {"hold": "hld_1", "state": "set", "from_at": text(0), "to_at": text(9)}, by=ADMIN)
    log.entry("clock.suspect", {"replica": "one", "skew_ms": 6_000, "check": "boot"})
    exported = {"format": "ocsf", "first": 0, "last": 3, "sha256": DIGEST, "target": "file"}
    log.entry("log.exported", exported, by=ADMIN)
    sink = Sink(name="tape", kind="git", required=True, size=15, waits_since=parse_instant("2026-11-23T12:00:00Z"))
    found = log.document("integrity", beside=log.beside(sinks=(sink,), retain_s=86_400))
    assert {one["result"] for one in rows_of(found, "checks")} == {"holds"}
    assert [(one["after"], one["silent_s"]) for one in rows_of(found, "gaps")] == [("none", 0), ("crash", 3_600)]
    assert [(one["sink"], one["behind"], one["required"]) for one in rows_of(found, "sinks")] == [("tape", 6, True)]
    assert rows_of(found, "sinks")[0]["waits_since_at"] == text(0)
    (hold,) = rows_of(found, "holds")
    assert (hold["hold"], hold["state"]) == ("hld_1", "set")
    (act,) = rows_of(found, "acts")
    assert act["detail"] == f"first 0, format ocsf, last 3, sha256 {DIGEST}, target file"
    facts = facts_of(found)
    assert (facts["failing"], facts["crashes"], facts["holds"], facts["retain_s"]) == (0, 1, 1, 86_400)


def test_integrity_tells_each_kind_of_damage() -> None:
    log = story()
    whole = log.beside()

    def failing(damaged: Log) -> list[str]:
        found = damaged.document("integrity", beside=whole)
        return [one["check"] for one in rows_of(found, "checks") if one["result"] == "fails"]

    missing = story()
    del missing.rows[3]
    assert failing(missing) == ["every index is there"]
    broken = story()
    broken.rows[3] = (3, broken.rows[3][1] + b" ", broken.rows[3][2])
    assert failing(broken) == [
        "every entry has its form", "every entry hashes to its leaf", "the entries have the root of the signed checkpoint",
    ]  # fmt: skip
    swapped = story()
    swapped.rows[3] = (3, *swapped.rows[12][1:])
    assert failing(swapped) == ["time never goes back", "the entries have the root of the signed checkpoint"]


def test_access_review_puts_rights_beside_their_use() -> None:
    log = story()
    log.granted("unused", BOB, CAROL)
    log.entry(
        "signin.succeeded", {"auth": {"method": "password", "mfa": False, "age_s": 0}, "issuer": "local"}, by=ALICE
    )
    log.entry("principal.changed", {"subject": BOB, "change": "roles", "names": ["admin"]}, by=ADMIN)
    signed_at = log.now_s
    made = log.entry("report.made", {"report": "access-review", "sha256": DIGEST}, by=ADMIN)
    other = log.entry("report.made", {"report": "population", "sha256": DIGEST}, by=ADMIN)
    log.entry("report.signed", {"verdict": "accepted"}, by=ADMIN, entry=f"ent_{made:026d}")
    log.entry("report.signed", {"verdict": "accepted"}, by=BOB, entry=f"ent_{other:026d}")
    people = tuple(
        Person(subject=one, kind="human", enabled=True, roles=roles, groups=("sre",))
        for one, roles in ((ALICE, ()), (BOB, ("admin",)))
    )
    rights = Rights(people, (MayDo(ALICE, "production", "group:dev"),), (MayDo(BOB, "production", "group:sre"),))
    found = log.document("access-review", beside=log.beside(rights=rights))
    alice, bob = rows_of(found, "people")
    assert (alice["requests"], alice["policies"], alice["last_sign_in_at"]) == (1, 1, text(signed_at))
    assert (bob["reviews"], bob["review_policies"], "last_sign_in_at" in bob) == (1, 1, False)
    assert [(one["subject"], one["requests"]) for one in rows_of(found, "may_request")] == [(ALICE, 1)]
    assert [(one["subject"], one["role"]) for one in rows_of(found, "administers")] == [(BOB, "admin")]
    assert [one["grant"] for one in rows_of(found, "unused_grants")] == ["grt_unused"]
    assert [one["names"] for one in rows_of(found, "changes_of_rights")] == [["admin"]]
    assert [one["by"] for one in rows_of(found, "signed")] == [ADMIN]
    facts = facts_of(found)
    assert facts["signed_at"] == text(signed_at)
    assert facts["sign_off_overdue"] is False
    assert facts["sign_by_at"].startswith("2027-05-23")
    assert facts_of(story().document("access-review"))["sign_off_overdue"] is True


def test_six_months_end_on_a_day_that_exists() -> None:
    for start, end in (("2026-08-31", "2027-02-28"), ("2026-11-23", "2027-05-23"), ("2027-08-30", "2028-02-29")):
        later = months_after(parse_instant(f"{start}T10:00:00Z"), 6)
        assert instant_text(later) == f"{end}T10:00:00.000000Z"


def test_who_is_not_known_any_more_is_not_named() -> None:
    log = story()
    found = log.report("population", names={ALICE: "erased"})
    request = found.cells(found.result.found.tables[0], found.result.found.tables[0].rows[0])
    assert "erased" in request
    assert found.name_of(BOB) == "unknown"
    assert found.name_of("system") == "system"


def test_integrity_holds_every_rule_against_the_log() -> None:
    log = story()
    found = log.document("integrity")
    rules = {one["rule"]: one["result"] for one in rows_of(found, "rules")}
    assert len(rules) == 27
    assert rules["S4"] == "broken", "the digests of logs written by hand are made up"
    assert rules["S22"] == "holds"
    places = {one["rule"]: one["entries"] for one in rows_of(found, "breaches") if one["kind"] == "violation"}
    assert set(places) == {name for name, result in rules.items() if result == "broken"}
    assert facts_of(found)["rules_broken"] == len(places)
    del log.rows[5]
    gap = log.document("integrity")
    assert any("from entry 5 on" in one for one in gap["unknown"])


def test_the_first_instant_belongs_to_a_time_and_the_last_does_not() -> None:
    log = Log()
    for name in ("one", "two", "three"):
        log.submitted(name)
        log.offered(name)
        log.wait(10)
    found = log.document("population", start=10, end=20)
    assert [one["request"] for one in rows_of(found, "requests")] == ["req_two"]
    assert facts_of(found)["entries"] == 2
    refusals = Log()
    for second in range(3):
        times = {"first_at": text(second), "last_at": text(second)}
        refusals.entry("access.refused", {"operation": "x", "code": "locked", "count": 1, **times}, by=ALICE)
        refusals.wait(1)
    assert facts_of(refusals.document("refusals", start=1, end=2))["refused"] == 1


def test_an_objection_is_no_sign_off_and_one_lasts_to_the_day() -> None:
    log = Log()
    made = log.entry("report.made", {"report": "access-review", "sha256": DIGEST}, by=ADMIN)
    log.entry("report.signed", {"verdict": "objected"}, by=ADMIN, entry=f"ent_{made:026d}")
    assert facts_of(log.document("access-review"))["signed_at"] is None
    log.entry("report.signed", {"verdict": "accepted"}, by=ADMIN, entry=f"ent_{made:026d}")
    due_s = (months_after(at(0), 6) - at(0)) / 1_000_000
    for end, overdue in ((due_s - 0.000_001, False), (due_s, True)):
        assert facts_of(log.document("access-review", end=end))["sign_off_overdue"] is overdue


def test_a_percentile_is_one_of_the_values() -> None:
    assert [ranked([], 50), ranked([7], 99), ranked([2, 1], 50), ranked([3, 1, 2], 50)] == [None, 7, 1, 2]
    hundred = list(range(1, 101))
    assert [ranked(hundred, percent) for percent in (1, 50, 95, 99, 100)] == [1, 50, 95, 99, 100]
    assert [ranked(list(range(1, 11)), percent) for percent in (50, 95)] == [5, 10]


def test_a_dossier_adds_up_the_batches_of_each_session() -> None:
    log = Log()
    log.granted("one")
    for session, counts in (("a", (3, 4)), ("b", (5,))):
        log.opened("one", session)
        for count in counts:
            log.served("one", session, count)
        log.closed("one", session)
    found = log.document("dossier", grant="grt_one")
    assert [(one["session"], one["batches"], one["lines"], one["bytes"]) for one in rows_of(found, "sessions")] == [
        ("ses_a", 2, 7, 700),
        ("ses_b", 1, 5, 500),
    ]
    assert (facts_of(found)["lines"], facts_of(found)["masked"]) == (12, ["pii.email 12"])


def test_grants_that_are_over_are_nothing_that_a_leaver_still_has() -> None:
    log = Log()
    log.granted("over")
    log.ended("over")
    log.granted("live")
    log.entry("principal.locked", {"lock": "lck_1", "subject": ALICE, "cause": "left"}, by=ADMIN)
    (leaver,) = rows_of(log.document("revocation"), "leavers")
    assert (leaver["act"], leaver["live_grants"], leaver["grants_left"]) == ("locked", 1, 1)


def test_what_may_have_left_at_a_crash_is_use_and_reviews_count_under_their_policy() -> None:
    log = Log()
    log.granted("crashed")
    log.opened("crashed", "a")
    log.closed("crashed", "a", "crash", uncertain=2)
    log.granted("unused")
    rights = Rights((), (), (MayDo(BOB, "production", "group:sre"), MayDo(BOB, "staging", "group:sre")))
    found = log.document("access-review", beside=log.beside(rights=rights))
    assert [one["grant"] for one in rows_of(found, "unused_grants")] == ["grt_unused"]
    assert [(one["policy"], one["reviews"]) for one in rows_of(found, "may_review")] == [
        ("production", 2),
        ("staging", 0),
    ]


def test_a_proposal_that_one_denies_is_denied() -> None:
    log = Log()
    proposed = {
        "digest_sha256": DIGEST, "bundle_sha256": DIGEST, "base_revision": 1, "files_sha256": DIGEST, "diff_sha256": DIGEST,
        "needed": 1, "widens": False, "comment_c": DIGEST,
    }  # fmt: skip
    auth = {"method": "password", "mfa": True, "age_s": 1}
    for number in (1, 2):
        log.entry("policy.proposed", proposed, by=ALICE, proposal=f"prp_{number}")
    denied = {"verdict": "deny", "digest_sha256": DIGEST, "channel": "web", "auth": auth}
    log.entry("policy.reviewed", denied, by=BOB, proposal="prp_1", review="rev_1")
    log.entry("policy.withdrawn", {"why": "author"}, by=ALICE, proposal="prp_2")
    rows = rows_of(log.document("policy-history"), "proposals")
    assert [(one["proposal"], one["denials"], one["outcome"]) for one in rows] == [
        ("prp_1", 1, "denied"),
        ("prp_2", 0, "withdrawn: author"),
    ]


def test_of_several_offers_the_one_that_was_taken_counts_and_a_grant_resumes_where_it_was() -> None:
    log = Log()
    log.submitted("one", offer=2)
    log.offered("one", policy="first")
    log.offered("one", policy="taken", offer=2)
    log.offered("one", policy="last", offer=3)
    log.reviewed("one")
    log.approved("one")
    log.scheduled("one")
    for kind in ("grant.suspended", "grant.resumed"):
        log.entry(kind, {"cause": "person"}, by=ADMIN, request="req_one", grant="grt_one")
    found = log.document("population")
    assert [one["policy"] for one in rows_of(found, "requests")] == ["taken"]
    assert [one["state"] for one in rows_of(found, "grants")] == ["scheduled"]
    log.activated("one")
    assert [one["state"] for one in rows_of(log.document("population"), "grants")] == ["active"]

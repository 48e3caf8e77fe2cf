"""Every type of entry that the audit log may hold, with the exact keys of its `ref` and `data`: a closed list.

A new type, or a key more or less, is a change of a public format: it changes the reference and every verifier. The
language is that of `field_types`. The number is the `type_uid` of OCSF 1.8.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from loglease.audit.field_types import Check, Field, Shapes, any_check, array_check, object_check

SHAPES_TEXT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Test": "label, op{eq|prefix|any|not_eq|not_prefix}, value?, value_c?",
        "Profile": "name, sha256",
        "Scope": """source, selector:[Test], from_ns?, to_ns?, live!, labels_only!?, rules_c:[], profiles:[Profile]""",
        "Masked": "rule, count#",
        "Settled": """unit{line|sample|name}, lines#, bytes#, first_ns?, last_ns?, masked:[Masked], served_c,
            overflow!""",
        "Limits": "lines#?, bytes#?, subjects#?, queries#?, queries_per_min#?, tails#?",
        "Match": "key, value_c",
        "Raise": "targets:[], loggers:[], level, match:[Match], follow!, delivery, on_disconnect, duration_s",
        "Reveal": "grant, pseudonym?, class, line_c",
        "Count": "lines#, bytes#",
        "Auth": "method, mfa!, age_s",
        "Slots": "from:[], need#",
        "Narrowing": "scopes:[Scope], duration_s, limits:Limits, elevation:Raise?",
        "Lever": """lease, target, logger, driver, class, incarnation, baseline, before?, after?, lease_epoch#,
            keys_sha256:[], delivery, until_at, boot_ms, verified!, read_back?, lines#?, why?, step?, error?,
            happened_at?, ambiguous!""",
    }
)
"""Objects that occur in several types."""

ON_TEXT: Final = "{grant|request|principal|person|group|token|policy|source|target|everything}"

ENTRY_TYPES_TEXT: Final = """
request.submitted 300401 [request] digest_sha256, offer#, beneficiary?, scopes:[Scope], reason_c, ticket_c?,
    inputs_c?, network_c?, duration_s, limits:Limits, elevation:Raise?, reveal:Reveal?, extends?, expires_at,
    channel{web|cli|api|chat}
offer.made 300403 [request] offer#, policy, bundle_sha256, revision#, outcome{auto|review|break_glass|deny}, rule?,
    plans:[Plan], scopes:[Scope], duration_s, limits:Limits, elevation:Raise?, reveal:Reveal?, bind:[]?,
    pseudonyms{team_day|deployment}?, activate_within_s, review_within_s?, record_c
request.countered 300403 [request] counter#, terms_sha256
request.expired 300411 [request]
request.cancelled 300411 [request] why{requester|superseded|revoked|deleted|locked|restore|ended}, reason_c?
request.approved 300403 [request] digest_sha256, reviews:[]
request.denied 300403 [request] by{review|policy}, review?, rule?
review.given 300403 [request, review] verdict{approve|deny}, digest_sha256, eligible:[], stands_for?,
    comment_c?, channel{web|cli|api|chat}, auth:Auth, narrowed:Narrowing?
grant.scheduled 300401 [request, grant] holder, basis{reviews|auto|break_glass}, reviews:[], digest_sha256,
    scopes:[Scope], duration_s, limits:Limits, elevation:Raise?, reveal:Reveal?, not_before_at, activate_by_at,
    review_by_at?, network_c?, pseudonyms{team_day|deployment}?
grant.activated 300501 [request, grant] from_at, until_at, reviews:[], bundle_sha256, revision#, epoch#
grant.suspended 300412 [request, grant] cause{person|lock|standing|policy|guardrail|restore}, reason_c?
grant.resumed 300413 [request, grant] cause{person|lock|standing|policy|guardrail|restore}, reason_c?
grant.ended 300502 [request, grant] why{expired|used|idle|returned}, total:Count
breakglass.reviewed 300403 [request, grant] verdict{justified|not_justified|follow_up},
    state{open|justified|not_justified|follow_up}, comment_c?
grant.revoked 300502 [request, grant] cause:On, object?, reason_c?, effective_at, late!
lock.added 300409 [lock?] lock, on:On, object?, reason_c?, until_at?
lock.lifted 300408 [lock?] lock, reason_c?
session.opened 300301 [request, grant, session] kind{query|tail|export|names|reveal},
    front{loki|plain|kubectl|web|cli|forward_auth}, replica, epoch#, address_c?, network_c?
query.recorded 600504 [request?, grant, session] query#, text_c, scopes:[Scope], start_ns?, end_ns?, live!, limit#?,
    plan{evaluate|pass}
batch.served 600501 [request?, grant, session] query#, seq#, settled:Settled?, total:Count, reserved:Count
session.closed 300399 [request, grant, session] why{complete|client|limit|time|idle|expired|ended|revoked|suspended|
    locked|slow|source|redaction|audit|database|clock|drain|error|crash}, detail?, settled:Settled?, total:Count,
    uncertain:Count, cut_ms?
access.refused 600399 [request?, grant?, session?, elevation?] operation, code, count#, first_at, last_at, address_c?
reveal.served 600501 [request?, grant, session] pseudonym?, class, rule, line_c
preview.counted 600501 [request?] sampled#, classes:[]
elevation.pending 300401 [request, grant, elevation] :Lever
elevation.armed 300403 [request, grant, elevation] :Lever
elevation.raised 300410 [request, grant, elevation] :Lever
elevation.cut 300403 [request, grant, elevation] :Lever
elevation.yielded 300403 [request, grant, elevation] :Lever
elevation.lost 300403 [request, grant, elevation] :Lever
elevation.paused 300412 [request, grant, elevation] :Lever
elevation.overdue 200401 [request, grant, elevation] :Lever
elevation.reverted 300411 [request, grant, elevation] :Lever
elevation.failed 200401 [request, grant, elevation] :Lever
target.registered 300401 [] target, reason_c?, approved_by?
target.retired 300404 [] target, reason_c?, approved_by?
target.frozen 300409 [] target, reason_c?, approved_by?
target.unfrozen 300408 [] target, reason_c?, approved_by?
finding.opened 200401 [] finding, target, logger, kind, level
finding.accepted 200402 [] finding, target, logger, kind, level
finding.reverted 200402 [] finding, target, logger, kind, level
finding.closed 200403 [] finding, target, logger, kind, level
elevation_agent.enrolled 300406 [] agent, error?
elevation_agent.lost 200401 [] agent, error?
elevation_agent.refused 300403 [] agent, error?
elevation_agent.journal_damaged 200401 [] agent, error?
exposure.counted 600501 [] target, logger, lines#, window_s
policy.refused 300403 [] error, bundle_sha256?, revision#?
policy.proposed 300401 [proposal] digest_sha256, bundle_sha256, base_revision#, files_sha256, diff_sha256, needed#,
    widens!, comment_c
policy.reviewed 300403 [proposal, review] verdict{approve|deny}, digest_sha256, comment_c?, channel{web|cli|api|chat},
    auth:Auth
policy.withdrawn 300411 [proposal] why{author|superseded}
act.proposed 300401 [proposal] kind{erase|prune}, digest_sha256, comment_c
act.reviewed 300403 [proposal] verdict{approve|deny}, digest_sha256, comment_c?, channel{web|cli|api|chat}, auth:Auth
act.withdrawn 300411 [proposal] why{author}
policy.loaded 300403 [proposal?] bundle_sha256, revision#, trust, author?, reviewers:[], signers:[], needed#, widens!
principal.added 300101 [] subject, kind{human|agent|service}, owner?
principal.changed 300199 [] subject, change{linked|unlinked|suspected|owner|roles|groups|enabled|disabled|password
    |manager}, other?, names:[], approved_by?
stand_in.named 300401 [] subject, stand_in, until_at
stand_in.ended 300404 [] subject, stand_in
principal.locked 300109 [lock?] lock, subject, cause, reason_c?, until_at?
principal.unlocked 300112 [lock?] lock, subject, reason_c?
signin.succeeded 300201 [] auth:Auth, issuer, address_c?
signin.ended 300202 [token?] why{logout|timeout|revoked|locked}
signin.failed 300201 [] method, error, count#, first_at, last_at, address_c?
token.issued 300401 [token?] token, subject, rights:[], expires_at
token.revoked 300404 [token?] token, subject, cause
config.changed 300403 [] keys:[], before_sha256, after_sha256, approved_by?
service.started 600203 [] replica, version, plugins:[], schema#, config_sha256, epoch#, origin, vkey,
    after{none|stop|crash|lost}
service.stopped 600204 [] replica, why{signal|error|lost}
audit.resumed 100808 [] replica, from_at, until_at, refused#, late#
clock.suspect 200401 [] replica, skew_ms, check
clock.trusted 200403 [] replica, skew_ms
key.rotated 300403 [] use{log|private|pseudonym|token|ticket}, old_id, new_id, vkey?, overlap_until_at?
log.exported 100803 [] format, first#, last#, sha256, target
log.disclosed 600510 [entry] field, to, purpose_c
log.pruned 100802 [] min_index#, before_at, approved_by
subject.erased 300106 [] subject, fields#, approved_by
log.restored 100899 [] from{tiles|backup}, old_origin, old_size#, old_root, epoch#, suspended#
report.made 100803 [] report, from_at?, to_at?, sha256, seed#?, question_c?
report.signed 300403 [entry] verdict{accepted|objected}, comment_c?
hold.changed 300403 [] hold, state{set|released}, from_at, to_at
tamper.found 200401 [] check, place, first_bad#?, detail
"""

_LINE = re.compile(r"(?P<name>[a-z_]+\.[a-z_]+) (?P<uid>\d+) \[(?P<ref>[^\]]*)\](?P<data>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class EntryType:
    """One type of entry.

    Attributes:
        type_uid: number of the matching OCSF 1.8.0 type.
    """

    name: str
    type_uid: int
    ref: tuple[Field, ...]
    data: tuple[Field, ...]
    check_ref: Check
    check_data: Check


def _declared() -> tuple[Mapping[str, EntryType], Mapping[str, tuple[Field, ...]]]:
    shapes = Shapes()
    shapes.words("On", ON_TEXT)
    objects = {name: shapes.object(name, text) for name, text in SHAPES_TEXT.items()}
    slots = object_check(objects["Slots"])
    joint = [object_check(shapes.fields(f"{name}:[Slots]")) for name in ("all_of", "any_of")]
    shapes.declare("Plan", array_check(any_check(slots, *joint)))
    types = {}
    for match in map(_LINE.fullmatch, _lines(ENTRY_TYPES_TEXT)):
        if match is None:
            raise ValueError("the list of entry types has a line of another form")
        data = match["data"].strip()
        fields = objects[data[1:]] if data.startswith(":") else shapes.fields(data)
        ref = shapes.fields(match["ref"])
        name = match["name"]
        types[name] = EntryType(name, int(match["uid"]), ref, fields, object_check(ref), object_check(fields))
    return MappingProxyType(types), MappingProxyType(objects)


def _lines(text: str) -> Iterator[str]:
    """Join the lines that go on with an indented one."""
    current = ""
    for line in text.strip().splitlines():
        if line.startswith(" "):
            current += " " + line.strip()
            continue
        if current:
            yield current
        current = line
    yield current


ENTRY_TYPES, SHAPES = _declared()
"""All types by name, and the objects that they share."""

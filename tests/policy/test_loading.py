"""From files to a bundle: the real format, and everything that is refused, where it stands."""

from __future__ import annotations

import gc
import re

import pytest
from tests.policy.world import (
    APPROVERS,
    CATALOG,
    FLOOR,
    ORGANISATION,
    PAYMENTS,
    PROFILES,
    RESTRICTED,
    SRE,
    STAGING,
    bundle_of,
    codes,
    files_of,
    problems_of,
)

from loglease.model.labels import matcher_of
from loglease.model.limits import Limits
from loglease.model.offer import Joint, Slots, Stage
from loglease.policy import Bundle, Outside, Problem, ProfileInfo, load
from loglease.policy import tree as trees
from loglease.policy.bundle import canonical_form

OPEN = """\
api: loglease/v1
kind: AccessPolicy
id: open
who: {any_of: [group:engineering]}
scopes: [{sources: [prod-logs], all_streams: true, lookback: 1h}]
grant: {duration: {max: 1h}, redaction: pii-default}
approve: [{otherwise: true, stages: [{from: [group:privacy], need: 1}]}]
"""


def changed(old: str, new: str, document: str = OPEN) -> list[str]:
    assert old in document
    return codes(problems_of(CATALOG, document.replace(old, new, 1)))


def with_line(line: str, document: str = OPEN) -> list[str]:
    return codes(problems_of(CATALOG, document + line + "\n"))


def test_the_real_format_loads() -> None:
    bundle = bundle_of(*ORGANISATION)
    assert [one.id for one in bundle.policies] == ["payments-prod-debug", "sre-prod", "staging-open"]
    policy = bundle.policies[0]
    assert policy.grant.limits == Limits(lines=200_000, bytes=500_000_000)
    assert (policy.grant.default_s, policy.grant.max_s, policy.pending_max_s) == (1800, 7200, 14400)
    service = policy.scopes[0].selector.matcher("service")
    assert service == matcher_of(prefixes=["pay-"], except_exact=["pay-vault"])
    assert policy.routes[0].stages == (Stage(blocks=(Slots(("approvers:payments-approvers",), 1),)),)
    assert bundle.guardrails[1].caps.duration_s == 4 * 3600
    assert str(policy.at) == "policies/main.yaml:11:1"


def test_unsaid_is_narrow() -> None:
    policy = bundle_of(CATALOG, OPEN).policies[0]
    assert {str(kind) for kind in policy.who.kinds} == {"human"}
    assert not policy.scopes[0].live
    assert not policy.exclusive
    assert not policy.discoverable
    assert policy.grant.default_s == policy.grant.max_s


@pytest.mark.attack("PO-02")
def test_an_unknown_field_has_its_place_its_mark_and_the_nearest_word() -> None:
    found = next(one for one in problems_of(CATALOG, OPEN.replace("lookback", "lookbak")) if one.code == "P110")
    assert found.render() == (
        "policies/main.yaml:15:52: error[P110] unknown field 'lookbak' in a scope\n"
        " 15 | scopes: [{sources: [prod-logs], all_streams: true, lookbak: 1h}]\n"
        "    |                                                    ^^^^^^^ = help: did you mean 'lookback'?"
    )


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("id: open", "id: no", "P113"),
        ("id: open", "id: Open", "P114"),
        ("id: open\n", "", "P111"),
        ("kind: AccessPolicy", "kind: AccesPolicy", "P116"),
        ("kind: AccessPolicy", "kind: [AccessPolicy]", "P112"),
        ("loglease/v1", "loglease/v2", "P117"),
        ("[group:engineering]", "[]", "P119"),
        ("[group:engineering]", "group:engineering", "P114"),
        ("[group:engineering]", "[engineering]", "P303"),
        ("[group:engineering]", "[grp:engineering]", "P303"),
        ("[group:engineering]", "[group:enginering]", "P302"),
        ("[group:engineering]", "['group:engineering', 'group:engineering']", "P107"),
        ("[group:engineering]", "['user: x']", "P114"),
        ("who: {any_of: [group:engineering]}", "who: {}", "P119"),
        ("who: {any_of: [group:engineering]}\n", "", "P111"),
        ("who: {any_of", "who: {kinds: [robot], any_of", "P115"),
        ("[prod-logs]", "[prod-log]", "P302"),
        ("[prod-logs]", "[]", "P119"),
        ("all_streams: true", "all_streams: True", "P114"),
        ("all_streams: true", "all_streams: yes", "P114"),
        ("all_streams: true", "all_streams: 'true'", "P114"),
        ("all_streams: true", "all_streams: false", "P118"),
        ("all_streams: true", "labels: {env: prod}, all_streams: true", "P118"),
        ("all_streams: true", "labels: {}", "P119"),
        ("all_streams: true", "labels: {envi: prod}", "P304"),
        ("all_streams: true", "labels: {env: production}", "P305"),
        ("all_streams: true", "labels: {service: [1]}", "P113"),
        ("all_streams: true", "labels: {service: on}", "P113"),
        ("all_streams: true", "labels: {service: 012}", "P113"),
        ("all_streams: true", "labels: {service: 12:30}", "P113"),
        ("all_streams: true", "labels: {service: 2026-01-01}", "P113"),
        ("all_streams: true", "labels: {service: ''}", "P114"),
        ("all_streams: true", "labels: {service: {prefix: ''}}", "P114"),
        ("all_streams: true", "labels: {service: {any: false}}", "P118"),
        ("all_streams: true", "labels: {service: {prefix: a, any: true}}", "P118"),
        ("all_streams: true", "labels: {service: {prefix: a, except: [{prefix: a}]}}", "P316"),
        ("all_streams: true", "labels: {service: {regex: a}}", "P110"),
        ("all_streams: true", "labels: {'bad-key': a}", "P114"),
        ("all_streams: true", "all_streams: true, level_from: unknown", "P115"),
        ("all_streams: true", "all_streams: true, contains: ['⟦x']", "P114"),
        ("lookback: 1h", "lookback: 0h", "P114"),
        ("lookback: 1h", "lookback: -1h", "P114"),
        ("lookback: 1h", "lookback: 60", "P114"),
        ("lookback: 1h", "lookback:", "P112"),
        ("max: 1h", "max: 1h, default: 2h", "P309"),
        ("max: 1h", "default: 2h", "P111"),
        ("redaction: pii-default", "redaction: pii", "P302"),
        ("redaction: pii-default", "redaction: pii-default@", "P318"),
        ("redaction: pii-default", "redaction: pii-default, limits: {lines: 0}", "P114"),
        ("redaction: pii-default", "redaction: pii-default, limits: {lines: '5'}", "P114"),
        ("redaction: pii-default", "redaction: pii-default, limits: {bytes: 500}", "P114"),
        ("redaction: pii-default", "redaction: pii-default, pseudonyms: team", "P115"),
        ("redaction: pii-default", "redaction: pii-default, on_change: stop", "P115"),
        ("redaction: pii-default", "redaction: pii-default, extend: {times: 1}", "P111"),
        ("redaction: pii-default", "redaction: pii-default, extend: {times: 0, by: 30m}", "P114"),
        ("redaction: pii-default", "redaction: pii-default, extend: {times: 21, by: 30m}", "P114"),
        ("redaction: pii-default", "redaction: pii-default, extend: {times: 1, by: 0m}", "P114"),
        ("redaction: pii-default", "redaction: pii-default, extend: {times: 1, by: 30m, until: 2h}", "P110"),
        ("redaction: pii-default", "redaction: pii-default, extend: 30m", "P114"),
        ("otherwise: true", "otherwise: true, grant: {extend: {times: 1, by: 30m}}", "P118"),
        ("redaction: pii-default", "redaction: pii-default, allow_self: true", "P307"),
        ("redaction: pii-default", "redaction: pii-default, reveal: {classes: [pii]}", "P111"),
        (
            "redaction: pii-default",
            "redaction: pii-default, reveal: {stages: [{from: [group:privacy], need: 1}]}",
            "P111",
        ),
        ("redaction: pii-default", "redaction: pii-default, reveal: {}", "P119"),
        (
            "redaction: pii-default",
            "redaction: pii-default, reveal: {classes: [], stages: [{from: [group:privacy], need: 1}]}",
            "P119",
        ),
        (
            "redaction: pii-default",
            "redaction: pii-default, reveal: {classes: ['*'], stages: [{from: [group:privacy], need: 1}]}",
            "P114",
        ),
        (
            "redaction: pii-default",
            "redaction: pii-default, reveal: {classes: [PII], stages: [{from: [group:privacy], need: 1}]}",
            "P114",
        ),
        (
            "redaction: pii-default",
            "redaction: pii-default, reveal: {classes: [pii, pii], stages: [{from: [group:privacy], need: 1}]}",
            "P107",
        ),
        ("redaction: pii-default", "redaction: pii-default, reveal: {classes: [pii], stages: []}", "P119"),
        (
            "redaction: pii-default",
            "redaction: pii-default, reveal: {classes: [pii], stages: [{from: [agent:bot], need: 1}]}",
            "P310",
        ),
        (
            "redaction: pii-default",
            "redaction: pii-default, reveal: {classes: [pii], auto: true, stages: [{from: [group:privacy], need: 1}]}",
            "P110",
        ),
        (
            "redaction: pii-default",
            "redaction: pii-default, reveal: {classes: [pii], allow_self: true, stages: [{from: [group:privacy], need: 1}]}",
            "P307",
        ),
        (
            "redaction: pii-default",
            "redaction: raw, reveal: {classes: [pii], stages: [{from: [group:privacy], need: 1}]}",
            "P320",
        ),
        ("approve: [{otherwise: true, stages: [{from: [group:privacy], need: 1}]}]", "approve: []", "P119"),
        ("otherwise: true, stages: [{from: [group:privacy], need: 1}]", "otherwise: true", "P118"),
        ("otherwise: true, stages", "otherwise: true, auto: true, stages", "P118"),
        ("otherwise: true, stages", "otherwise: true, auto: false, allow_self: true, stages", "P307"),
        ("otherwise: true, stages", "stages", "P306"),
        ("[{from: [group:privacy], need: 1}]", "[]", "P119"),
        ("from: [group:privacy]", "from: []", "P119"),
        ("from: [group:privacy], need: 1", "from: [group:privacy]", "P111"),
        ("from: [group:privacy], need: 1", "need: 1", "P118"),
        ("need: 1", "need: 0", "P114"),
        ("need: 1", "need: 21", "P114"),
        ("need: 1", "need: one", "P114"),
        ("need: 1", "need: 1, any_of: [{from: [group:sre], need: 1}]", "P118"),
        ("[group:privacy]", "[agent:bot]", "P310"),
        ("[group:privacy]", "[service:bot]", "P310"),
        ("[group:privacy]", "[approvers:nobody]", "P302"),
        ("[group:privacy]", "[relation:friend]", "P302"),
        ("need: 1", "need: 1, remind: 59s", "P114"),
        ("need: 1", "need: 1, escalate: {to: [group:sre]}", "P111"),
        ("need: 1", "need: 1, escalate: {after: 30m}", "P111"),
        ("need: 1", "need: 1, escalate: {after: 30m, to: []}", "P119"),
        ("need: 1", "need: 1, escalate: {after: 30m, to: [agent:bot]}", "P310"),
        ("need: 1", "need: 1, escalate: {after: 30m, to: [channel:incident]}", "P303"),
        ("otherwise: true", "otherwise: true, notify: [channel:nowhere]", "P302"),
        ("[group:privacy]", "['oncall:payments-manager']", "P302"),
        ("otherwise: true", "otherwise: true, notify: []", "P119"),
        ("otherwise: true", "otherwise: true, notify: [relation:manager]", "P303"),
        ("otherwise: true", "otherwise: true, notify: ['oncall:payments-manager']", "P303"),
        ("who: {any_of: [group:", "who: {any_of: ['relation:manager', group:", "P303"),
    ],
)
def test_what_is_wrong_has_a_code(old: str, new: str, code: str) -> None:
    assert code in changed(old, new)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("[group:privacy]", "['relation:target-owner']", "P906"),
        ("otherwise: true", "otherwise: true, elevation: true", "P904"),
        ("redaction: pii-default", "redaction: pii-default, bind: [device]", "P906"),
        ("redaction: pii-default", "redaction: pii-default, bind: [network, device]", "P906"),
        ("redaction: pii-default", "redaction: pii-default, labels_only: true", "P906"),
    ],
)
def test_what_comes_later_is_refused_and_says_so(old: str, new: str, code: str) -> None:
    found = problems_of(CATALOG, OPEN.replace(old, new, 1))
    assert code in codes(found)
    assert any("not supported yet" in one.message for one in found)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("when: ctx.mfa_age <= duration('15m')", "P205"),
        ("approver_when: 'true'", "P213"),
        ('exclusive: true\nwhen: ask.customer == "x"', "P205"),
        ("approver_when: approver.mfa_age <= duration('15m')", "P205"),
        ("elevation: {targets: [x]}", "P904"),
        ("ask: {inputs: {Customer: {type: string}}}", "P114"),
        ("ask: {inputs: {customer: {type: text}}}", "P115"),
        ("ask: {ticket: {tracker: tickets, key: 'A', state: [open]}}", "P205"),
    ],
)
def test_what_is_not_declared_or_comes_later_is_refused(line: str, code: str) -> None:
    assert with_line(line) == [code]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("ask: {ticket: {tracker: jira, key: 'A'}}", "P302"),
        ("ask: {ticket: {tracker: tickets, key: '(a'}}", "P114"),
        ("ask: {ticket: {tracker: tickets, key: '(a)\\1'}}", "P114"),
        ("ask: {reason: {min: 0}}", "P114"),
        ("ask: {reason: {}}", "P119"),
        ("owner: sre", "P303"),
        ("owner: group:nobody", "P302"),
        ("review_by: 2027-13-01", "P114"),
        ("review_by: tomorrow", "P114"),
        ("pending_max: P1Y", "P114"),
        ("exclusive: 1", "P114"),
        ("allow_self: true", "P307"),
        ("self_approval: true", "P307"),
        ("id: again", "P107"),
    ],
)
def test_other_wrong_fields(line: str, code: str) -> None:
    assert code in with_line(line)


def test_a_form_has_sixteen_fields_of_its_own_at_most() -> None:
    fields = [f"field_{n}: {{type: string}}" for n in range(17)]
    loaded = bundle_of(CATALOG, f"{OPEN}ask: {{inputs: {{{', '.join(fields[:16])}}}}}\n")
    assert len(loaded.policies[0].ask.inputs) == 16
    assert with_line(f"ask: {{inputs: {{{', '.join(fields)}}}}}") == ["P108"]


def test_self_approval_gets_a_message_of_its_own() -> None:
    found = problems_of(CATALOG, OPEN + "allow_self: true\n")
    assert "nobody can be allowed to approve their own request" in found[0].message


def test_raw_needs_stages_in_every_route() -> None:
    auto = OPEN.replace("stages: [{from: [group:privacy], need: 1}]", "auto: true")
    assert isinstance(load(files_of(CATALOG, auto)), Bundle)
    assert codes(problems_of(CATALOG, auto.replace("pii-default", "raw"))) == ["P308"]
    assert bundle_of(CATALOG, OPEN.replace("pii-default", "raw")).policies[0].grant.redaction == "raw"


def test_nobody_can_be_counted_where_nobody_is_masked() -> None:
    limited = OPEN.replace("redaction: pii-default", "redaction: pii-default, limits: {subjects: 5}")
    assert bundle_of(CATALOG, limited).policies[0].grant.limits == Limits(subjects=5)
    assert codes(problems_of(CATALOG, limited.replace("pii-default", "raw"))) == ["P327"]


def test_a_route_after_otherwise_is_never_reached() -> None:
    twice = OPEN.replace("}]}]\n", "}]}, {otherwise: true, auto: true}]\n")
    assert codes(problems_of(CATALOG, twice)) == ["P306"]


def test_stages_have_blocks() -> None:
    joint = "{all_of: [{from: [group:privacy], need: 1}, {from: [group:sre], need: 2}]}"
    policy = bundle_of(CATALOG, OPEN.replace("{from: [group:privacy], need: 1}", joint)).policies[0]
    stage = policy.routes[0].stages[0]
    assert stage.joint is Joint.ALL
    assert stage.blocks == (Slots(("group:privacy",), 1), Slots(("group:sre",), 2))


def test_plans_are_bounded() -> None:
    stage = "{from: [group:privacy], need: 1}"
    many = ", ".join([stage] * 9)
    assert "P108" in changed(f"[{stage}]", f"[{many}]")
    either = "{any_of: [" + ", ".join([stage] * 9) + "]}"
    assert "P108" in changed(f"[{stage}]", f"[{either}, {either}]")
    wide = "{from: [group:privacy], need: 20}"
    assert "P108" in changed(f"[{stage}]", f"[{wide}, {wide}, {wide}, {wide}]")
    everything = "{all_of: [" + ", ".join([wide] * 4) + "]}"
    assert "P108" in changed(f"[{stage}]", f"[{everything}]")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("any_of: []", "P119"),
        ("any_of: [agent:x]", "P310"),
        ("any_of: [approvers:other]", "P303"),
        ("any_of: [group:sre]\nstand_ins: {max: 14d}", "P111"),
        ("any_of: [group:sre]\nat_least: 0", "P114"),
        ("none_of: [group:sre]", "P111"),
    ],
)
def test_approver_sets(body: str, code: str) -> None:
    head = "api: loglease/v1\nkind: ApproverSet\n"
    other = head + "id: other\nany_of: [group:sre]\n"
    assert code in codes(problems_of(CATALOG, other, f"{head}id: set\n{body}\n"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("applies: {all_streams: true}", "P118"),
        ("applies: {all_streams: true}\ndeny: false", "P118"),
        ("applies: {}\ndeny: true", "P119"),
        ("applies: {all_streams: false}\ndeny: true", "P118"),
        ("applies: {all_streams: true, labels: {env: prod}}\ndeny: true", "P118"),
        ("deny: true", "P111"),
        ("applies: {all_streams: true}\ncaps: {}", "P119"),
        ("applies: {all_streams: true}\ncaps: {elevation: 30m}", "P904"),
        ("applies: {all_streams: true}\ncaps: {subjects: 0}", "P114"),
        ("applies: {all_streams: true}\nat_least: {redaction: none}", "P302"),
        ("applies: {all_streams: true}\nadd: {bind: [device]}", "P906"),
        ("applies: {all_streams: true}\nadd: {bind: [place]}", "P115"),
        ("applies: {all_streams: true}\nadd: {bind: []}", "P119"),
        ("applies: {all_streams: true}\nadd: {}", "P119"),
        ("applies: {all_streams: true}\ndeny: true\nif: ctx.on_call", "P205"),
        ("applies: {all_streams: true}\ndeny: true\nmode: off", "P113"),
        ("applies: {all_streams: true}\ndeny: true\nmode: warn", "P115"),
        ("applies: {all_streams: true}\nrequire: {stage: {from: [agent:x], need: 1}}", "P310"),
        ("applies: {all_streams: true}\nrequire: {}", "P119"),
    ],
)
def test_guardrails(body: str, code: str) -> None:
    assert code in codes(problems_of(CATALOG, f"api: loglease/v1\nkind: Guardrail\nid: rail\n{body}\n"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("names: {teams: [x]}", "P110"),
        ("names: {groups: x}", "P114"),
        ("labels: {env: []}", "P119"),
        ("labels: {env: integer}", "P115"),
        ("labels: {'a b': string}", "P114"),
        ("redaction: {raw: []}", "P314"),
        ("redaction: {a: [b], b: [a]}", "P314"),
        ("redaction: {a: [missing]}", "P302"),
        ("redaction: {A: []}", "P114"),
        ("targets: {pay: {labels: {}}}", "P904"),
    ],
)
def test_catalogs(body: str, code: str) -> None:
    assert code in codes(problems_of(f"api: loglease/v1\nkind: Catalog\nid: main\n{body}\n"))


def test_catalogs_are_joined() -> None:
    second = "api: loglease/v1\nkind: Catalog\nid: more\nnames: {groups: [ops]}\nlabels: {env: [test]}\n"
    catalog = bundle_of(CATALOG, second, OPEN).catalog
    assert {"ops", "sre"} <= catalog.groups
    assert catalog.labels["env"] == frozenset({"prod", "staging", "dev", "test"})


def test_everybody_needs_no_entry() -> None:
    assert bundle_of(CATALOG, OPEN.replace("group:engineering", "group:everybody"))


def test_the_same_id_twice_is_an_error_per_kind() -> None:
    found = problems_of(CATALOG, OPEN, OPEN)
    assert codes(found) == ["P301"]
    assert found[0].help == "the first is at policies/main.yaml:11:1"
    assert isinstance(load(files_of(CATALOG, OPEN, APPROVERS.replace("payments-approvers", "open"))), Bundle)


def test_tests_and_policies_stay_apart() -> None:
    policy_in_test = load({"a.yaml": CATALOG.encode(), "b.test.yaml": OPEN.encode()})
    assert isinstance(policy_in_test, list)
    assert "P313" in codes(policy_in_test)
    other = load({"notes.txt": b"x"})
    assert isinstance(other, list)
    assert codes(other) == ["P319"]


def test_a_label_names_a_thousand_values() -> None:
    def listed(count: int) -> str:
        return OPEN.replace(
            "all_streams: true", f"labels: {{service: [{', '.join(f's{one}' for one in range(count))}]}}"
        )

    service = bundle_of(CATALOG, listed(1_000)).policies[0].scopes[0].selector.matcher("service")
    assert service == matcher_of(exact=[f"s{one}" for one in range(1_000)])
    (found,) = problems_of(CATALOG, listed(1_001))
    assert (found.code, found.message, found.help) == (
        "P108",
        "the values of service are more than 1,000",
        "use a prefix",
    )


def test_all_problems_are_reported_sorted_and_at_most_a_hundred() -> None:
    wrong = (
        OPEN.replace("lookback", "lookbak").replace("group:engineering", "group:x").replace("otherwise", "otherwize")
    )
    found = problems_of(CATALOG, wrong)
    assert len(found) >= 4
    assert [one.at for one in found] == sorted(one.at for one in found)
    many = {f"f{number}.yaml": wrong.encode() for number in range(100)}
    loaded = load(many)
    assert isinstance(loaded, list)
    assert len(loaded) == 100


def test_bundles_are_bounded() -> None:
    too_many = load({f"{number}.yaml": b"" for number in range(10_001)})
    assert isinstance(too_many, list)
    assert codes(too_many) == ["P108"]
    mebibyte = bytes(1 << 20)
    too_large = load({f"{number}.yaml": mebibyte for number in range(65)})
    assert isinstance(too_large, list)
    assert [(one.code, one.message) for one in too_large] == [("P108", "the bundle is too large")]


def test_policies_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loglease.policy.loading.MAX_POLICIES", 2)
    three = [OPEN.replace("id: open", f"id: open-{number}") for number in range(3)]
    assert len(bundle_of(CATALOG, *three[:2], RESTRICTED).policies) == 2
    (found,) = problems_of(CATALOG, *three)
    assert (str(found.at), found.code, found.help) == ("bundle:1:1", "P108", "at most 2")


def test_no_files_are_a_bundle_that_allows_nothing() -> None:
    bundle = load({})
    assert isinstance(bundle, Bundle)
    assert bundle.policies == ()


def test_the_hash_is_of_what_is_meant() -> None:
    first = bundle_of(*ORGANISATION)
    shuffled = list(ORGANISATION)
    shuffled.reverse()
    apart = load({f"{number}.yaml": document.encode() for number, document in enumerate(shuffled)})
    assert isinstance(apart, Bundle)
    assert apart.hash == first.hash
    commented = bundle_of(*(f"# note\n{one.replace('2h}', '120m}')}" for one in ORGANISATION))
    assert commented.hash == first.hash
    assert re.fullmatch(r"[0-9a-f]{64}", first.hash)


@pytest.mark.parametrize(
    ("document", "old", "new"),
    [
        (PAYMENTS, "max: 2h", "max: 3h"),
        (PAYMENTS, "pay-vault", "pay-safe"),
        (PAYMENTS, "lines: 200000", "lines: 200001"),
        (PAYMENTS, "need: 1", "need: 2"),
        (PAYMENTS, "live: true", "live: false"),
        (SRE, "group:sre-leads", "group:privacy"),
        (STAGING, "auto: true", "stages: [{from: [group:sre], need: 1}]"),
        (APPROVERS, "contractors", "sre"),
        (FLOOR, "duration: 4h", "duration: 5h"),
        (RESTRICTED, "restricted}", "pii}"),
        (CATALOG, "dev]", "dev, test]"),
    ],
)
def test_the_hash_changes_with_the_meaning(document: str, old: str, new: str) -> None:
    documents = [one.replace(old, new, 1) if one is document else one for one in ORGANISATION]
    assert bundle_of(*documents).hash != bundle_of(*ORGANISATION).hash


@pytest.mark.parametrize("value", [0.5, ["a"], {"a": {"b": None, "c": b"x"}}, (1, object())])
def test_what_has_no_canonical_form_is_in_no_hash(value: object) -> None:
    with pytest.raises(TypeError, match="has no canonical form"):
        canonical_form(value)


def test_what_the_server_knows_is_not_contradicted() -> None:
    assert bundle_of(*ORGANISATION, outside=Outside(profiles=PROFILES))
    proved = {**PROFILES, "pii-default": ProfileInfo("pii-default", "7")}
    assert codes(problems_of(*ORGANISATION, outside=Outside(profiles=proved))) == ["P311", "P311"][:1]
    without = {name: info for name, info in PROFILES.items() if name != "odd"}
    assert codes(problems_of(*ORGANISATION, outside=Outside(profiles=without))) == ["P302"]
    untrusted = Outside(trusted_labels={"prod-logs": frozenset({"env", "service"})})
    assert set(codes(problems_of(*ORGANISATION, outside=untrusted))) == {"P317"}
    other = OPEN.replace("pii-default", "pii-default@6")
    assert codes(problems_of(CATALOG, other, outside=Outside(profiles=PROFILES))) == ["P318"]


def test_both_parsers_give_the_same_bundle_and_the_same_problems() -> None:
    for documents in (ORGANISATION, (CATALOG, OPEN.replace("lookback", "lookbak"))):
        fast = load(files_of(*documents), loader=trees.FAST)
        pure = load(files_of(*documents), loader=trees.PURE)
        assert (fast.hash if isinstance(fast, Bundle) else fast) == (pure.hash if isinstance(pure, Bundle) else pure)


def test_policies_without_a_test_are_warned_of() -> None:
    warnings = bundle_of(CATALOG, OPEN).warnings
    assert [(one.code, one.severity.value) for one in warnings] == [("P412", "warning")]


def test_problems_for_programs() -> None:
    found = problems_of(CATALOG, OPEN + "allow_self: true\n")[0]
    assert isinstance(found, Problem)
    assert found.as_json() == {
        "file": "policies/main.yaml",
        "line": 18,
        "column": 1,
        "severity": "error",
        "code": "P307",
        "message": "nobody can be allowed to approve their own request",
        "help": "remove the field",
    }


def test_a_bundle_and_what_reads_it_have_no_cycles() -> None:
    """A server keeps the collector of cycles away while it reads documents, and frees an old bundle by counting."""
    when = "when: '!req.live && !(\"pii\" in req.labels.data_class)'"
    conditions = PAYMENTS.replace("approve:", f"{when}\napprove:", 1)
    good = "---\n".join([CATALOG, conditions, *ORGANISATION[2:]])
    load({"a.yaml": good.encode()})
    gc.collect()
    gc.disable()
    try:
        for text, kind in (
            (good, Bundle),
            (good.replace("lookback", "lookbak"), list),
            (good.replace("&&", "&"), list),
        ):
            loaded = load({"a.yaml": text.encode()})
            assert isinstance(loaded, kind), loaded
            assert gc.collect() == 0, "reading left cycles"
            del loaded
            assert gc.collect() == 0, "what was read had cycles"
    finally:
        gc.enable()


@pytest.mark.parametrize("place", ["grant", "route", "guardrail"])
def test_a_server_without_witnesses_refuses_what_needs_them(place: str) -> None:
    found = OPEN
    if place == "grant":
        found = OPEN.replace("redaction: pii-default", "redaction: pii-default, audit: witnessed", 1)
    elif place == "route":
        found = OPEN.replace("otherwise: true", "otherwise: true, grant: {audit: witnessed}", 1)
    else:
        found += "---\napi: loglease/v1\nkind: Guardrail\nid: kept\napplies: {all_streams: true}\nat_least: {audit: witnessed}\n"
    assert bundle_of(CATALOG, found)
    assert bundle_of(CATALOG, found.replace("audit: witnessed", "audit: published"), outside=Outside(witnessed=False))
    (problem,) = problems_of(CATALOG, found, outside=Outside(witnessed=False))
    assert problem.code == "P332"
    assert "audit.witness_policy" in (problem.help or "")
    assert "P115" in codes(problems_of(CATALOG, found.replace("audit: witnessed", "audit: durable")))

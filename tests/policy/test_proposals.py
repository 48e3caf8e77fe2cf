"""Who has to agree to a change of the policy, and who counts: people, not logins, and never the author."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loglease.model.ids import PersonId, PrincipalId, ProposalId, ReviewId, SubjectId
from loglease.model.instant import Instant
from loglease.model.principal import Directory, Kind, Principal, Role, directory_of
from loglease.model.proposal import Proposal, ProposalReview
from loglease.model.review import Channel, Verdict
from loglease.policy.difference import Difference
from loglease.policy.difference import Verdict as Meaning
from loglease.policy.problems import At
from loglease.policy.proposals import approvers, changes_of, counted, needed_for, proposal_refusal, widens

ADMIN = frozenset({Role.POLICY_ADMIN})
NOW = Instant(1_796_000_000_000_000)


def person(name: str, **changes: object) -> Principal:
    made = Principal(
        id=PrincipalId(f"prn_{name}"),
        issuer="local",
        account=name,
        kind=Kind.HUMAN,
        person=PersonId(f"per_{name}"),
        subject=SubjectId(f"sub_{name}"),
        name=name,
        roles=ADMIN,
    )
    return replace(made, **changes)


PAM, QUINN, RUTH = person("pam"), person("quinn"), person("ruth")
PAM_TWO = person("pam-two", person=PAM.person)
PAM_MAYBE = person("pam-maybe", suspected=frozenset({PAM.person}))
QUINN_MAYBE = person("quinn-maybe", suspected=frozenset({QUINN.person}))
BOT = person("bot", kind=Kind.SERVICE)
GONE = person("gone", enabled=False)
SAM = person("sam", roles=frozenset({Role.ADMIN, Role.AUDITOR}))
EVERYONE = (PAM, QUINN, RUTH, PAM_TWO, PAM_MAYBE, QUINN_MAYBE, BOT, GONE, SAM)
DIRECTORY = directory_of(EVERYONE)


def proposal(author: Principal = PAM) -> Proposal:
    return Proposal(
        id=ProposalId("prp_1"),
        author=author.id,
        subject=author.subject,
        persons=author.persons,
        comment="because",
        files={"policy.yaml": "x"},
        bundle_sha256="a" * 64,
        base_revision=1,
        base_sha256="b" * 64,
        changes=(),
        verdict="WIDENS",
        needed=2,
        proposed_at=NOW,
    )


def approval(who: Principal, verdict: Verdict = Verdict.APPROVE) -> ProposalReview:
    return ProposalReview(
        id=ReviewId(f"rev_{who.account}"),
        proposal=ProposalId("prp_1"),
        reviewer=who.id,
        subject=who.subject,
        person=who.person,
        verdict=verdict,
        digest="d" * 64,
        given_at=NOW,
        channel=Channel.WEB,
    )


def names(reviews: tuple[ProposalReview, ...]) -> set[str]:
    return {one.reviewer.removeprefix("prn_") for one in reviews}


def difference(verdict: Meaning) -> Difference:
    return Difference(verdict=verdict, kind="AccessPolicy", document="x", place="grant", old="1", new="2")


@pytest.mark.parametrize(
    ("verdicts", "needed"),
    [
        ([], 1),
        ([Meaning.NARROWS], 1),
        ([Meaning.NARROWS, Meaning.UNDECIDED], 2),
        ([Meaning.CHEAPER], 2),
        ([Meaning.WIDENS, Meaning.NARROWS], 2),
    ],
)
def test_two_agree_unless_it_is_proved_that_nobody_gets_more(verdicts: list[Meaning], needed: int) -> None:
    assert needed_for(map(difference, verdicts)) == needed
    assert widens(needed) is (needed == 2)


def test_changes_keep_their_text_and_place() -> None:
    [one] = changes_of([replace(difference(Meaning.WIDENS), at=At("a.yaml", 3, 5))])
    assert (one.verdict, one.text, one.at) == ("WIDENS", "grant 1 -> 2", "a.yaml:3:5")
    [one] = changes_of([difference(Meaning.WIDENS)])
    assert one.at is None


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (PAM, "self_review"),
        (PAM_TWO, "same_person"),
        (PAM_MAYBE, "same_person"),
        (BOT, "reviewer_not_human"),
        (SAM, "reviewer_not_eligible"),
        (GONE, "reviewer_not_eligible"),
        (QUINN, None),
    ],
)
def test_who_may_review_what_pam_proposed(who: Principal, code: str | None) -> None:
    refusal = proposal_refusal(proposal(), who, DIRECTORY)
    assert (None if refusal is None else refusal.code) == code


def test_who_could_approve_is_counted_by_people() -> None:
    assert len(approvers(proposal(), DIRECTORY)) == 2
    assert len(approvers(proposal(QUINN_MAYBE), DIRECTORY)) == 2
    assert len(approvers(proposal(RUTH), DIRECTORY)) == 2


def test_two_logins_of_one_person_are_one_approval_in_either_order() -> None:
    for pair in ((QUINN, QUINN_MAYBE), (QUINN_MAYBE, QUINN)):
        assert len(counted(proposal(), map(approval, pair), DIRECTORY)) == 1
    assert len(counted(proposal(), map(approval, (QUINN_MAYBE, RUTH, QUINN)), DIRECTORY)) == 2


def test_whoever_left_or_lost_the_role_counts_no_more() -> None:
    after = directory_of([*EVERYONE[:1], replace(QUINN, roles=frozenset()), replace(RUTH, enabled=False)])
    assert counted(proposal(), map(approval, (QUINN, RUTH)), after) == ()
    assert counted(proposal(), [approval(QUINN, Verdict.DENY)], DIRECTORY) == ()
    assert counted(proposal(), [approval(RUTH)], Directory({})) == ()


@given(st.permutations(EVERYONE), st.integers(0, len(EVERYONE)), st.sampled_from([PAM, QUINN_MAYBE, RUTH]))
def test_no_order_and_no_login_makes_more_people(order: list[Principal], most: int, author: Principal) -> None:
    reviews = [approval(one) for one in order[:most]]
    found = counted(proposal(author), reviews, DIRECTORY)
    assert found == counted(proposal(author), reversed(reviews), DIRECTORY)
    human = {"pam-two": "pam", "pam-maybe": "pam", "quinn-maybe": "quinn"}
    people = [human.get(name, name) for name in names(found)]
    assert len(people) == len(set(people))
    assert human.get(author.account, author.account) not in people
    assert set(people) <= {"pam", "quinn", "ruth"}
    assert len(found) <= len(approvers(proposal(author), DIRECTORY))

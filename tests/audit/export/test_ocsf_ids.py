"""Which number each type of entry has, written down a second time and apart from the code."""

from __future__ import annotations

import pytest
from tests.audit.export.branches import of_type
from tests.audit.export.events import event_for
from tests.audit.export.schema import captions, published

from loglease.audit.export.ocsf_classes import CLASSES
from loglease.audit.types import ENTRY_TYPES

# "+" allowed, "-" denied, "±" by the entry's verdict.
AGREED = """
request.submitted 300401     offer.made 300403               request.countered 300403     request.expired 300411
request.cancelled 300411     request.approved 300403+        request.denied 300403-       review.given 300403±
grant.scheduled 300401       grant.activated 300501          grant.suspended 300412       grant.resumed 300413
grant.ended 300502           breakglass.reviewed 300403      grant.revoked 300502         lock.added 300409
lock.lifted 300408           session.opened 300301           query.recorded 600504        batch.served 600501
session.closed 300399        access.refused 600399-          reveal.served 600501         preview.counted 600501
elevation.pending 300401     elevation.armed 300403          elevation.raised 300410      elevation.cut 300403
elevation.yielded 300403     elevation.lost 300403           elevation.paused 300412      elevation.overdue 200401
elevation.reverted 300411    elevation.failed 200401         target.registered 300401     target.retired 300404
target.frozen 300409         target.unfrozen 300408          finding.opened 200401        finding.accepted 200402
finding.reverted 200402      finding.closed 200403           elevation_agent.enrolled 300406
elevation_agent.lost 200401  elevation_agent.refused 300403- elevation_agent.journal_damaged 200401
exposure.counted 600501      policy.refused 300403-          policy.loaded 300403+        principal.added 300101
principal.changed 300199     principal.locked 300109         principal.unlocked 300112    signin.succeeded 300201
signin.ended 300202          signin.failed 300201            token.issued 300401          token.revoked 300404
config.changed 300403        service.started 600203          service.stopped 600204       audit.resumed 100808
clock.suspect 200401         clock.trusted 200403            key.rotated 300403           log.exported 100803
log.disclosed 600510         log.pruned 100802               subject.erased 300106        log.restored 100899
report.made 100803           report.signed 300403            hold.changed 300403          tamper.found 200401
"""
# Types that came later, with the number of what they are most like.
LATER = """
policy.proposed 300401       policy.reviewed 300403±         policy.withdrawn 300411
act.proposed 300401          act.reviewed 300403±            act.withdrawn 300411
stand_in.named 300401        stand_in.ended 300404
"""
WORDS = (AGREED + LATER).split()
TABLE = dict(zip(WORDS[::2], WORDS[1::2], strict=True))
ACTIONS = {"+": (1, "Allowed"), "-": (2, "Denied")}


def test_the_table_has_every_type_and_no_other() -> None:
    assert TABLE.keys() == ENTRY_TYPES.keys()


@pytest.mark.parametrize("name", list(ENTRY_TYPES))
def test_ids_are_those_that_were_agreed(name: str) -> None:
    number, mark = int(TABLE[name][:6]), TABLE[name][6:]
    for content in of_type(ENTRY_TYPES[name]):
        event = event_for(content)
        assert (event["type_uid"], event["class_uid"], event["activity_id"]) == (number, number // 100, number % 100)
        assert event["category_uid"] == number // 100_000
        mark_here = {"approve": "+", "deny": "-"}[event["unmapped"]["data"]["verdict"]] if mark == "±" else mark
        action = ACTIONS.get(mark_here)
        assert (event.get("action_id"), event.get("action")) == (action or (None, None))
        assert ("security_control" in event["metadata"].get("profiles", ())) is (action is not None)


@pytest.mark.parametrize("class_uid", list(CLASSES))
def test_names_are_those_of_the_published_schema(class_uid: int) -> None:
    ours = CLASSES[class_uid]
    assert captions(class_uid, "class_uid") == {class_uid: ours.name}
    assert captions(class_uid, "category_uid") == {ours.category: ours.category_name}
    activities = captions(class_uid, "activity_id")
    assert {number: activities[number] for number in ours.activities} == ours.activities
    used = {kind.type_uid % 100 for kind in ENTRY_TYPES.values() if kind.type_uid // 100 == class_uid}
    assert used - {99} == set(ours.activities)


@pytest.mark.parametrize("name", list(ENTRY_TYPES))
def test_names_beside_numbers_are_the_numbers(name: str) -> None:
    for content in of_type(ENTRY_TYPES[name]):
        event = event_for(content)
        for word in ("severity", "status", "action", "type", "log_type"):
            number = f"{word}_id"
            if number in event:
                assert captions(event["class_uid"], number)[event[number]] == event[word]
        if event["activity_id"] == 99:
            assert event["activity_name"] not in captions(event["class_uid"], "activity_id").values()


@pytest.mark.parametrize("name", ["principal.added", "policy.loaded", "policy.refused"])
def test_kinds_of_users_and_things_have_the_numbers_of_the_published_schema(name: str) -> None:
    for content in of_type(ENTRY_TYPES[name]):
        event = event_for(content)
        for key, kind in (("user", "user"), ("entity", "managed_entity")):
            if key in event:
                known = published()["objects"][kind]["attributes"]["type_id"]["enum"]
                number, word = event[key]["type_id"], event[key]["type"]
                assert number == 99 or known[str(number)]["caption"] == word

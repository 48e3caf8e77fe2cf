"""Offers of a real server's log are made again by a stranger, with bundles and records that the server gave out."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.audit.logs import log_files, write_log
from tests.cli.conftest import Result
from tests.fakes.stack import WITHIN_S, Person, Stack

from loglease.audit.log_directory import FileLog
from loglease.audit.log_reading import entry_at, unsigned_head
from loglease.audit.note import SigningKey
from loglease.cli.main import run_command
from loglease.model.digest import canonical_bytes, sha256_hex

POLICY = """\
api: loglease/v1
kind: Catalog
id: main
names: {groups: [engineering, approvers], sources: [files], trackers: [tickets]}
labels: {service: string, env: string}
redaction: {secrets: [raw], pii-default: [secrets]}
---
api: loglease/v1
kind: AccessPolicy
id: one-approval
title: Everything
owner: group:approvers
who: {kinds: [human], any_of: [group:engineering]}
scopes:
  - {sources: [files], labels: {service: {any: true}}, lookback: 24h, live: true}
ask: {reason: {min: 3}}
grant:
  duration: {default: 1h, max: 8h}
  activate_within: 1h
  limits: {lines: 5000}
  redaction: pii-default
approve:
  - otherwise: true
    stages: [{from: [group:approvers], need: 1}]
pending_max: 4h
---
api: loglease/v1
kind: AccessPolicy
id: short
title: A quarter of an hour at once
owner: group:approvers
who: {kinds: [human], any_of: [group:engineering]}
scopes:
  - {sources: [files], labels: {service: {any: true}}, lookback: 24h, live: true}
ask: {reason: {min: 3}, ticket: {tracker: tickets, key: '[A-Z]+-[0-9]+'}}
grant:
  duration: {default: 15m, max: 15m}
  activate_within: 1h
  redaction: pii-default
approve:
  - otherwise: true
    auto: true
pending_max: 4h
"""
LONGER = POLICY.replace("{default: 1h, max: 8h}", "{default: 2h, max: 4h}")


@dataclass(frozen=True)
class Evidence:
    """What the server's operator hands to an auditor, and the key that signed it all."""

    log: Path
    bundles: Path
    records: Path
    key: SigningKey
    offers: tuple[Mapping[str, Any], ...]

    def verify(self, *more: str, log: Path | None = None, bundles: Path | None = None) -> Result:
        words = ["audit", "verify", str(log or self.log), "--semantic", "--key", str(self.key.verifier)]
        words += ["--bundles", str(bundles or self.bundles), *more]
        return ran({"HOME": str(self.log.parent)}, *words)

    def with_records(self, *more: str, **places: Path) -> Result:
        return self.verify("--records", str(self.records), *more, **places)

    def entries(self) -> list[bytes]:
        read = FileLog(self.log)
        size = unsigned_head(read)[0].size
        return [entry_at(read, index, size) for index in range(size)]


def ran(environment: Mapping[str, str], *words: str) -> Result:
    out, err = io.StringIO(), io.StringIO()
    code = run_command(words, environment=dict(environment), stdin=io.StringIO(), stdout=out, stderr=err)
    return Result(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("recomputed")
    stack = Stack(folder / "server")
    policy = folder / "server" / "data" / "policy"
    policy.parent.mkdir(parents=True, mode=0o700)
    policy.mkdir()
    (policy / "main.yaml").write_text(POLICY)
    stack.start()
    made = gathered(stack, policy, folder)
    assert stack.stop() == 0
    return made


def gathered(stack: Stack, policy: Path, folder: Path) -> Evidence:
    erin, oscar = stack.add("erin", roles=("admin",)), stack.add("oscar", roles=("auditor",))
    alice, bob = stack.add("alice", "engineering"), stack.add("bob", "engineering", "approvers")
    bob.decide(alice.ask(duration_s=1_800, limits={"lines": 100}))
    alice.ask('{service=~"shop|cart.*"}', scope={"contains": ["paid", "timeout"], "level_from": "warn"})
    alice.ask(ticket="OPS-17", offer=1)
    (policy / "main.yaml").write_text(LONGER)
    reloaded(stack, oscar)
    alice.ask('{service="cart",env="test"}', scope={"window": {"lookback_s": 60}})
    home = {"LOGLEASE_SERVER": stack.url, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    as_erin, as_oscar = home | {"LOGLEASE_TOKEN": erin.token}, home | {"LOGLEASE_TOKEN": oscar.token}
    listed = ran(as_oscar, "audit", "list", "--type", "offer.made", "--output", "json")
    assert listed.code == 0, listed.err
    offers = tuple(sorted(json.loads(listed.out)["items"], key=lambda one: int(one["index"])))
    records = folder / "records"
    records.mkdir()
    for one in offers:
        file = records / f"{one['id']}.disclosure"
        words = ("audit", "disclose", one["id"], "record_c", "--to", "oscar", "--purpose", "audit", "--file", str(file))
        done = ran(as_erin, *words)
        assert done.code == 0, done.err
    bundles = folder / "bundles"
    done = ran(as_oscar, "policy", "bundles", str(bundles))
    assert (done.code, done.out) == (0, f"2 bundles are in {bundles}, 2 of them new.\n"), done.err
    again = ran(as_oscar, "policy", "bundles", str(bundles), "--output", "json")
    assert (json.loads(again.out)["fetched"], len(json.loads(again.out)["bundles"])) == ([], 2)
    done = ran(as_oscar, "audit", "export", "--format", "tlog-tiles", "--to", str(folder / "log"))
    assert done.code == 0, done.err
    key = SigningKey.parse((stack.folder / "data" / "log.key").read_text().strip())
    return Evidence(folder / "log", bundles, records, key, offers)


def reloaded(stack: Stack, who: Person) -> None:
    """Have the server read its documents again, and wait until it has."""
    assert stack.process is not None
    before = who.call("GET", "/policies")["revision"]
    stack.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + WITHIN_S
    while who.call("GET", "/policies")["revision"] == before:
        assert time.monotonic() < until, "the documents were not read again"
        time.sleep(0.05)


def test_every_offer_of_a_real_log_is_made_again_and_equal(evidence: Evidence) -> None:
    found = evidence.with_records()
    assert found.code == 0, found.out + found.err
    assert "offers      4 made: 4 recomputed equal, 0 differ, 0 not checkable" in found.out
    assert "  S5 " not in found.out
    body = json.loads(evidence.with_records("--output", "json").out)
    assert [one["verdict"] for one in body["offers"]] == ["equal"] * 4
    assert [one["entry"] for one in body["offers"]] == [one["id"] for one in evidence.offers]
    assert {one["data"]["policy"] for one in evidence.offers} == {"one-approval", "short"}
    assert {one["data"]["outcome"] for one in evidence.offers} == {"review", "auto"}
    assert len({one["data"]["bundle_sha256"] for one in evidence.offers}) == 2


def test_without_bundles_or_records_nothing_is_claimed(evidence: Evidence) -> None:
    bare = ran({}, "audit", "verify", str(evidence.log), "--semantic", "--key", str(evidence.key.verifier))
    assert bare.code == 0
    assert "S5        not checkable: whether offers are what their bundles give: no bundles were given" in bare.out
    assert "recomputed" not in bare.out
    found = evidence.verify()
    assert found.code == 0
    assert "offers      4 made: 0 recomputed equal, 0 differ, 4 not checkable" in found.out
    assert "not checkable: no decision records were given" in found.out
    assert ran({}, "audit", "verify", str(evidence.log), "--bundles", "x", "--key", "x").code == 2
    assert evidence.verify("--records", str(evidence.bundles / "nowhere")).code == 2


DOCTORED: tuple[tuple[str, Callable[[dict[str, Any]], object]], ...] = (
    ("duration_s", lambda data: data.update(duration_s=data["duration_s"] - 1)),
    ("plans", lambda data: data["plans"][0][0].update({"from": ["group:engineering"]})),
    ("limits", lambda data: data["limits"].update(lines=99)),
    ("activate_within_s", lambda data: data.update(activate_within_s=1)),
    ("profiles", lambda data: data["scopes"][0]["profiles"].pop()),
    ("policy", lambda data: data.update(policy="short")),
    ("rule", lambda data: data.update(rule="another")),
)


@pytest.mark.parametrize(("what", "doctor"), DOCTORED)
def test_an_offer_that_was_doctored_and_signed_again_is_found(
    evidence: Evidence, tmp_path: Path, what: str, doctor: Callable[[dict[str, Any]], object]
) -> None:
    """Somebody with the server's own key changes an offer, and the digest that follows from it, and signs all of it."""
    entries = evidence.entries()
    place = next(number for number, one in enumerate(entries) if json.loads(one)["type"] == "offer.made")
    entry = json.loads(entries[place])
    doctor(entry["data"])
    entries[place] = canonical_bytes(entry)
    log = resigned(tmp_path, entries, evidence.key)
    assert evidence.verify(log=log).out.count("recomputed equal")
    found = evidence.with_records(log=log)
    assert found.code == 1
    assert "offers      4 made: 3 recomputed equal, 1 differ, 0 not checkable" in found.out
    assert f"{entry['id']} of {entry['ref']['request']} differs: " in found.out
    assert f"the offer for {entry['ref']['request']} is not what its bundle gives" in found.out
    bare = evidence.verify(log=log)
    assert "is not what its bundle gives" not in bare.out


def resigned(folder: Path, entries: list[bytes], key: SigningKey) -> Path:
    """Write a log of these entries, with the digests of requests made anew, signed by a key."""
    offers = {one["ref"]["request"]: one for one in map(json.loads, entries) if one["type"] == "offer.made"}
    digests: dict[str, str] = {}
    for one in map(json.loads, entries):
        if one["type"] == "request.submitted":
            request = one["ref"]["request"]
            wish = {name: value for name, value in one["data"].items() if name not in ("digest_sha256", "channel")}
            bound = {"offer": offers[request]["data"], "request": request, "subject": one["actor"], "wish": wish}
            digests[one["data"]["digest_sha256"]] = sha256_hex(canonical_bytes(bound))
    made = []
    for entry in entries:
        for old, new in digests.items():
            entry = entry.replace(old.encode(), new.encode())  # noqa: PLW2901 - it is the same entry
        made.append(entry)
    return write_log(folder / "log", log_files(made, key=key))


def test_bundles_that_are_not_there_or_were_changed_are_told_clearly(evidence: Evidence, tmp_path: Path) -> None:
    nowhere = evidence.with_records(bundles=tmp_path / "nowhere")
    assert (nowhere.code, "There is no directory" in nowhere.err) == (2, True)
    wrong = evidence.with_records(bundles=evidence.log)
    assert (wrong.code, "holds no bundles" in wrong.err) == (2, True)

    other = shutil.copytree(evidence.bundles, tmp_path / "bundles")
    first, second = (one["data"]["bundle_sha256"] for one in (evidence.offers[0], evidence.offers[-1]))
    shutil.rmtree(other / first)
    missing = evidence.with_records(bundles=other)
    assert missing.code == 0
    assert "4 made: 1 recomputed equal, 0 differ, 3 not checkable" in missing.out
    assert f"its bundle {first} is not in {other}" in missing.out

    (document,) = (other / second).glob("*.yaml")
    document.write_text(document.read_text() + "# a remark changes nothing\n")
    assert "1 recomputed equal" in evidence.with_records(bundles=other).out
    document.write_text(document.read_text().replace("max: 4h", "max: 5h"))
    changed = evidence.with_records(bundles=other)
    assert changed.code == 2
    assert f"The documents in {other / second} are those of " in changed.err
    document.write_text("{")
    broken = evidence.with_records(bundles=other)
    # A key in base64 may have the word in it.
    assert (broken.code, re.search(r"\bOK\b", broken.out)) == (2, None)
    document.unlink()
    assert evidence.with_records(bundles=other).code == 2


def test_records_that_are_missing_or_of_something_else_are_told_clearly(evidence: Evidence, tmp_path: Path) -> None:
    records = shutil.copytree(evidence.records, tmp_path / "records")
    one, other = (records / f"{offer['id']}.disclosure" for offer in evidence.offers[:2])
    other.unlink()
    part = evidence.verify("--records", str(records))
    assert part.code == 0
    assert "4 made: 3 recomputed equal, 0 differ, 1 not checkable" in part.out
    assert "its decision record is not among those given" in part.out

    content = json.loads(one.read_text())
    record = json.loads(b64decode(content["clear"]))
    assert record["principal"]["account"] == "alice"
    content["clear"] = b64encode(json.dumps({**record, "closed": "x"}).encode()).decode()
    one.write_text(json.dumps(content))
    forged = evidence.verify("--records", str(records))
    assert (forged.code, f"{one} shows nothing" in forged.err) == (2, True)

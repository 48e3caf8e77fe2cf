"""Extracts of entries say to the rules what the entries say, whatever a batch holds and however many processes work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from tests.audit.logs import KEY, log_files, write_log
from tests.audit.semantic.honest import Server
from tests.audit.semantic.test_planted import PLANTED
from tests.audit.semantic.twins import REVEAL, TWINS
from tests.audit.semantic.writer import HOUR, Writer

from loglease.audit import verify
from loglease.audit.entry import MAX_ENTRY_BYTES
from loglease.audit.forms import first_without_form
from loglease.audit.interface import EntryInvalid
from loglease.audit.log_directory import FileLog
from loglease.audit.log_reading import read_head
from loglease.audit.patterns import capturing
from loglease.audit.semantic import Inputs, Report, Verifier, check, extract
from loglease.audit.semantic.extracts import BATCH_PARTS, Batch, rows_of
from loglease.audit.semantic.facts import Fact, read_fact
from loglease.audit.tiles import WIDTH
from loglease.audit.verify import Checked
from loglease.audit.verify_jobs import verify_with_jobs
from loglease.model.digest import canonical_bytes
from loglease.model.instant import after, instant_text


def extracted(rows: Sequence[bytes], **inputs: Any) -> Report:
    rules = Verifier(Inputs(**inputs))
    for first in range(0, len(rows), WIDTH):
        content = extract(rows[first : first + WIDTH])
        assert isinstance(content, bytes), content
        rules.take_extract(first, content)
    return rules.finish()


def honest(seed: int, steps: int = 25) -> list[bytes]:
    return [content for _, content in Server(seed).run(steps).rows()]


def batches(rows: Sequence[bytes]) -> list[int]:
    return [index for index, content in enumerate(rows) if b'"type":"batch.served"' in content]


def number(draw: Random, value: int) -> int:
    return draw.choice([value - 1, value + 1, 0, -1, 256, 257, 65_537, value * 2, 10**14])


def altered(draw: Random, rows: list[bytes]) -> None:
    """Change one thing about one batch, in any way that leaves it an entry."""
    index = draw.choice(batches(rows))
    entry = orjson.loads(rows[index])
    data, ref = entry["data"], entry["ref"]
    settled = data.get("settled")
    kind = draw.randrange(9)
    if kind == 0:
        data["seq"] = number(draw, data["seq"])
    elif kind <= 2:
        part, name = data[draw.choice(["total", "reserved"])], draw.choice(["lines", "bytes"])
        part[name] = number(draw, part[name])
    elif kind == 3 and settled is not None:
        name = draw.choice(["lines", "bytes"])
        settled[name] = number(draw, settled[name])
    elif kind == 4 and settled is not None:
        name = draw.choice(["first_ns", "last_ns"])
        settled[name] = str(number(draw, int(settled.get(name, "7"))))
    elif kind == 5 and settled is not None:
        settled.pop(draw.choice(["first_ns", "last_ns"]), None)
        settled["unit"] = draw.choice(["line", "sample", "name"])
    elif kind == 6:
        other = orjson.loads(rows[draw.choice(batches(rows))])["ref"]
        name = draw.choice(["grant", "session", "request"])
        ref[name] = other.get(name, "req_other")
    elif kind == 7:
        ref.pop("request", None)
        data.pop("settled", None)
    else:
        entry["id"] = orjson.loads(rows[draw.randrange(index + 1)])["id"]
    rows[index] = canonical_bytes(entry)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_a_batch_says_the_report_is_the_same(seed: int) -> None:
    draw = Random(seed)  # noqa: S311 - a test repeats
    rows = honest(seed % 7)
    for _ in range(draw.choice([1, 1, 3])):
        altered(draw, rows)
    assert extracted(rows) == check(enumerate(rows))


def test_batches_left_out_or_moved_are_seen_the_same() -> None:
    rows = honest(3)
    draw = Random(1)  # noqa: S311 - a test repeats
    for _ in range(20):
        made = list(rows)
        content = made.pop(draw.choice(batches(made)))
        if draw.random() < 0.5:
            made.insert(draw.randrange(len(made)), content)
        assert extracted(made) == check(enumerate(made))


def test_a_session_that_opens_again_without_a_grant_is_taken_for_none() -> None:
    rows = honest(4)
    first = next(index for index in batches(rows) if b'"settled"' in rows[index])
    session = orjson.loads(rows[first])["ref"]["session"]
    opened = next(i for i, one in enumerate(rows) if b'"session.opened"' in one and session.encode() in one)
    entry = orjson.loads(rows[opened])
    entry["id"], entry["ref"]["grant"] = "ent_" + "0" * 26, "grt_" + "0" * 26
    rows.insert(first, canonical_bytes(entry | {"at": orjson.loads(rows[first])["at"]}))
    report = extracted(rows)
    assert report == check(enumerate(rows))
    assert report.broken == {"S3", "S16", "S18", "S19"}


def a_batch_before_a_query(log: Writer) -> None:
    session = log.open(log.granted())
    del log.entries[-1]
    log.batch(session)


def a_crash_soon_after_a_batch(log: Writer) -> None:
    session = log.open(log.granted())
    log.wait(40)
    log.batch(session)
    log.wait(10)
    log.close(session, "crash")


def a_batch_that_takes_back(log: Writer) -> None:
    session = log.open(log.granted())
    log.batch(session)
    log.batch(session, lines=5)
    log.batch(session, lines=-1, reserve=150)


def a_batch_whose_times_run_backwards(log: Writer) -> None:
    session = log.open(log.granted())
    log.batch(session)
    log.batch(session, lines=5, settled={"first_ns": "3000", "last_ns": "2999"})


def a_batch_behind_the_end_of_its_query(log: Writer) -> None:
    session = log.open(log.granted(), query={"end_ns": "3000"})
    log.batch(session)
    log.batch(session, lines=5, settled={"first_ns": "2000", "last_ns": "3000"})


def a_batch_after_what_it_goes_on_from_was_suspended(log: Writer) -> None:
    first = log.granted()
    asked = log.ask(wish={"extends": first.id})
    log.review(asked)
    second = log.approve(
        asked, not_before_at=instant_text(first.until), activate_by_at=instant_text(after(first.until, 600))
    )
    log.now = first.until
    session = log.open(log.activate(second))
    log.batch(session)
    log.suspend(first)
    log.batch(session)


def a_batch_after_the_grant_of_its_line_was_revoked(log: Writer) -> None:
    parent = log.granted(duration_s=HOUR)
    wanted = REVEAL | {"grant": parent.id}
    asked = log.ask(wish={"reveal": wanted}, offer={"reveal": wanted}, duration_s=60)
    log.review(asked)
    session = log.open(log.activate(log.approve(asked)), kind="reveal")
    log.batch(session)
    log.revoke(parent)
    log.batch(session)


@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        (a_batch_before_a_query, "S15"),
        (a_crash_soon_after_a_batch, "S18"),
        (a_batch_that_takes_back, "S16"),
        (a_batch_whose_times_run_backwards, "S16"),
        (a_batch_behind_the_end_of_its_query, "S16"),
        (a_batch_after_what_it_goes_on_from_was_suspended, "S13"),
        (a_batch_after_the_grant_of_its_line_was_revoked, "S13"),
    ],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_a_batch_that_is_not_plain_is_left_to_the_rules(plant: Callable[[Writer], None], rule: str) -> None:
    log = Writer().begin()
    plant(log)
    assert log.check().broken == {rule}


def test_of_served_lists_the_same_is_said() -> None:
    rows = honest(5)
    for served in (lambda _: None, lambda _: (b"salt", b"{}")):
        assert extracted(rows, served=served) == check(enumerate(rows), Inputs(served=served))
    assert {one.rule for one in extracted(rows, served=lambda _: (b"", b"")).breaches} == {"S16"}


def reported(place: Path, jobs: int) -> Report:
    read = FileLog(place)
    head, _ = read_head(read, (KEY.verifier,))
    rules = Verifier()

    def take(part: Checked) -> None:
        for first, content in zip(part.entries[::WIDTH], part.extracts, strict=True):
            rules.take_extract(first, content)

    verify_with_jobs(read, head, jobs=jobs, extract=extract, take=take)
    return rules.finish()


def test_processes_find_what_one_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On an honest log with wrongs of all rules behind it, each with its place and text, in several stretches."""
    monkeypatch.setattr(verify, "STRETCH_TILES", 1)
    log = Server(2).run(60)
    for plant, _, _ in PLANTED:
        plant(log)
    for rule, twins in TWINS.items():
        for twin in twins if rule != "S2" else ():  # those change the first entry
            twin(log)
    rows = [content for _, content in log.rows()]
    place = write_log(tmp_path, log_files(rows))
    slow = check(enumerate(rows))
    assert len(rows) > 2 * WIDTH
    assert len(slow.broken) > 20
    assert reported(place, 1) == slow
    assert reported(place, 2) == slow


@pytest.mark.parametrize("kind", ["plain", "escape", "letter", "negative"])
def test_a_batch_is_read_as_it_is(kind: str) -> None:
    rows = honest(1)
    content = next(rows[index] for index in batches(rows) if b"settled" in rows[index])
    match kind:
        case "escape":
            content = content.replace(b'"grant":"', b'"grant":"\\"')
        case "letter":
            content = content.replace(b'"grant":"', '"grant":"é'.encode())
        case "negative":
            content = content.replace(b'"seq":', b'"seq":-1')
        case _:
            pass
    found = extract([content])
    assert isinstance(found, bytes), found
    (row,) = rows_of(found)
    fact, wanted = (Batch(*row).fact() if len(row) == BATCH_PARTS else Fact(*row)), read_fact(content)
    assert fact._replace(data={}) == wanted._replace(data={})
    for name, value in fact.data.items():
        known = wanted.data[name]
        if name == "settled":
            known = {key: one for key, one in known.items() if key in value}
            assert known.keys() >= {"unit", "lines", "bytes", "first_ns", "last_ns", "served_c"}
            assert {key: str(one) for key, one in value.items()} == {key: str(one) for key, one in known.items()}
        else:
            assert value == known
    assert (len(row) == BATCH_PARTS) is (kind in ("plain", "negative"))


def test_what_is_no_entry_is_found_where_it_is() -> None:
    rows = honest(1)[:100]
    for index in (0, batches(rows)[0], 99):
        for content in (rows[index][:-1], rows[index].replace(b'"v":1', b'"v":2'), b"x" * (MAX_ENTRY_BYTES + 1)):
            broken = [*rows[:index], content, *rows[index + 1 :]]
            found, wanted = extract(broken), first_without_form(broken)
            assert isinstance(found, tuple)
            assert wanted is not None
            assert (found[0], str(found[1])) == (wanted[0], str(wanted[1]))
            assert isinstance(found[1], EntryInvalid)


def test_groups_stand_in_the_order_of_the_entry() -> None:
    content = next(one for one in honest(1) if b'"type":"session.closed"' in one)
    match = capturing("session.closed", "id", "at", "data.total.lines", "data.why", "ref")(content)
    assert match is not None
    entry = orjson.loads(content)
    at, lines, why, one, ref = match.groups()
    assert (at.decode(), int(lines), why.decode(), one.decode()) == (
        entry["at"],
        entry["data"]["total"]["lines"],
        entry["data"]["why"],
        entry["id"],
    )
    assert orjson.loads(ref) == entry["ref"]

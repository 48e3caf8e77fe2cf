"""Promise 5, asked later: who was shown a value is told from the records exactly as the bytes tell that clients received.

The oracle keeps what each client got. Each planted value stands beside a marker that nothing masks, so whoever received
the marker was shown the value, under its pseudonym.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.fakes.stack import Person, Stack
from tests.promises.shared import Following, crowd, followed, granted, wire

from loglease.server.clock import SystemClock

VALUES = 12


def value(number: int) -> str:
    return f"planted-{number}@example.org"


def marker(number: int) -> str:
    return f"marker-{number:03d}."


def planted(numbers: Iterable[int]) -> str:
    return "".join(f'{{"level":"info","msg":"{marker(one)} order of {value(one)}"}}\n' for one in numbers)


def who(auditor: Person, **question: Any) -> dict[str, Any]:
    return dict(auditor.call("POST", "/audit/who-saw", question)["answer"])


def grants_by_how(answer: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for grant in answer["grants"]:
        for one in grant["found"]:
            found.setdefault(one["how"], set()).add(grant["grant"])
    return found


def read(person: Person, grant: str, path: str, **parameters: str) -> str:
    response = wire().get(f"{person.url}/g/{grant}{path}", params=parameters, headers=person.headers())
    assert response.status_code == 200, response.text
    return response.text


def test_the_records_tell_who_received_which_value(killable: Stack) -> None:
    people = crowd(killable)
    alice, bob, carol, mallory, sam = (people[name] for name in ("alice", "bob", "carol", "mallory", "sam"))
    for service, numbers in (("shop", range(8)), ("web", range(4, VALUES))):
        with (killable.logs / f"{service}.log").open("a") as file:
            file.write(planted(numbers))
    received: dict[str, str] = {}
    everything = granted(alice, bob)
    followed(lambda: marker(7) in read(alice, everything, "/logs", query="{}"))
    received[everything] = read(alice, everything, "/logs", query="{}")
    some = granted(mallory, bob)
    received[some] = read(mallory, some, "/logs", query='{service="shop"} |~ "marker-00[35]"')
    other = granted(mallory, bob, '{service="web"}')
    followed(lambda: marker(11) in read(mallory, other, "/loki/api/v1/query_range", query='{service="web"}'))
    received[other] = read(mallory, other, "/loki/api/v1/query_range", query='{service="web"} |= "order"')
    counted = granted(carol, bob)
    numbers = read(
        carol,
        counted,
        "/loki/api/v1/query",
        query='sum(count_over_time({service="shop"} |= "order" [1h]))',
        time=str(SystemClock().now() * 1_000),
    )
    received[counted] = numbers
    unused = granted(carol, bob, '{service="web"}')

    for number in range(VALUES):
        by_how = grants_by_how(who(sam, value={"class": "email", "text": value(number)}))
        assert by_how.get("served", set()) == {one for one, got in received.items() if marker(number) in got}, number
        # A number shows nobody a marker, and is made of the lines of all values of its service.
        assert by_how["derived"] >= {counted}
        assert "possible" not in by_how
        assert unused not in set().union(*by_how.values())
    nobody = who(sam, value={"class": "email", "text": "nobody@example.org"})
    assert set(grants_by_how(nobody)) == {"derived"}

    by_stream = grants_by_how(who(sam, selector='{service="web"}'))
    assert by_stream == {"served": {other}}
    (one,) = who(sam, value={"class": "pii.email", "text": value(9)}, hows=["served"])["grants"]
    assert (one["principal"]["account"], [person["account"] for person in one["approvers"]]) == ("mallory", ["bob"])
    by_token = who(sam, pseudonym={"grant": other, "pseudonym": one["found"][0]["pseudonyms"][0]}, hows=["served"])
    assert [grant["grant"] for grant in by_token["grants"]] == [other]
    entries = sam.call("GET", "/audit/entries?type=report.made&limit=200")["items"]
    assert len(entries) == VALUES + 4
    said = (killable.folder / "stderr.log").read_text() + str(entries)
    assert "planted-" not in said
    assert "planted-" not in "".join(received.values())


def test_what_a_dead_process_had_under_way_is_possible(killable: Stack) -> None:
    people = crowd(killable)
    alice, bob, sam = people["alice"], people["bob"], people["sam"]
    grant, quiet = granted(alice, bob), granted(alice, bob, '{service="web"}')
    tail = Following(alice, grant)
    assert followed(lambda: len(tail.texts) >= 200)
    with (killable.logs / "shop.log").open("a") as file:
        file.write(planted(range(5)))
    assert followed(lambda: any(marker(4) in text for text in tail.texts))
    killable.kill()
    killable.start()
    sam = killable.sign_in("sam")
    answer = who(sam, value={"class": "email", "text": value(2)})
    by_how = grants_by_how(answer)
    assert grant in by_how.get("served", set()) | by_how.get("possible", set())
    assert quiet not in set().union(*by_how.values())
    crashed = [one for one in answer["grants"][0]["found"] if one.get("why") == "crash"]
    assert len(crashed) == 1
    assert 0 < crashed[0]["lines"] <= 256
    # The record of the crash cannot tell whose lines they were, and is about this service alone.
    assert grants_by_how(who(sam, value={"class": "email", "text": "nobody@example.org"}))["possible"] == {grant}
    assert who(sam, selector='{service="web"}')["grants"] == []

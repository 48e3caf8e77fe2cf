"""The query language as an oracle: no question about a masked value moves the answer.

Each question is asked of two logs that differ in the masked value alone; twins of pseudonyms show one token.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from tests.gateway.world import Line, line
from tests.promises.in_memory import GENEROUS, Answer, Asking, InMemory, Reads, in_memory
from tests.promises.twin_calls import BASE_NS
from tests.promises.twin_logs import secret, twin_pseudonym

from loglease.gateway import GatewaySettings
from loglease.logql.templates.functions import FUNCTIONS
from loglease.model.instant import EventWindow
from loglease.model.limits import Limits
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector

TWINS = (1, 51)
ENCODERS = ("b64enc", "urlencode", "html", "js", "urlquery", 'printf "%x"', 'printf "%q"', "upper", "title", "len")
DECODED = "hunter2horse"
MASKED = ("user", "owner", "password", "ip", "msg")
TIMES = f"start=0&end={BASE_NS + 10**9}"
LOKI = "/loki/api/v1"
SIZES = (1, 60, 120, 180, 400)
SETTINGS = (
    GatewaySettings(exact_statistics=True),
    GatewaySettings(exact_statistics=True, scan_lines=2),
    *(GatewaySettings(scan_bytes=size) for size in SIZES),
)
BUDGETS = (Limits(queries_per_min=1_000, lines=1), Limits(queries_per_min=1_000, bytes=300))


@dataclass(frozen=True, slots=True)
class Desk:
    """A gateway with a grant, and others with budgets that do not last."""

    gateway: InMemory

    def ask(self, path: str, lines: tuple[Line, ...], *, gateway: int = 0, token: str = "plain") -> Answer:  # noqa: S107
        asking = Asking(path, token)
        return self.gateway.answer(asking.request, lines, Reads(), gateway)


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    scope = Scope(
        source="src",
        selector=parse_selector('{service="a"}'),
        window=EventWindow(BASE_NS, BASE_NS + 100),
        profile="pii-default@1",
    )
    with in_memory(*SETTINGS) as gateway:
        gateway.holder("plain", (scope, GENEROUS))
        for number, limits in enumerate(BUDGETS):
            gateway.holder(f"budget {number}", (scope, limits))
        yield Desk(gateway)


def lines_with(number: int) -> tuple[Line, ...]:
    """Return lines with secrets of a number in text, fields, labels and metadata."""
    email, password, ip = (secret(cls, number) for cls in ("email", "password", "ip"))
    fields = json.dumps({"user": email, "password": password, "ip": ip, "n": "7", "msg": f'said "{email}"'})
    return (
        line(BASE_NS + 1, f"mail {email} from {ip} password={password} end", service="a"),
        line(BASE_NS + 2, fields, (("user", email), ("password", password)), service="a", owner=email),
        line(
            BASE_NS + 3,
            f'user={email} password="{password}" ip={ip} msg="said \\"{email}\\""',
            service="a",
            owner="team",
        ),
    )


def path_of(query: str) -> str:
    """Return where lines or numbers are asked for, so that as much as possible is seen of them."""
    return f"/logs?{TIMES}&direction=forward&query={quote(query)}"


def moves_nothing(desk: Desk, queries: list[str], **met: int) -> list[Answer]:
    """Ask both twins, and return the answers."""
    return moves_no_answer(desk, [path_of(query) for query in queries], **met)


def moves_no_answer(desk: Desk, paths: list[str], token: str = "plain", **met: int) -> list[Answer]:  # noqa: S107
    answers = []
    for path in paths:
        one, other = (desk.ask(path, lines_with(number), token=token, **met) for number in TWINS)
        assert one == other, path
        expected = one.status == 200 or b"a line has the error" in one.raw or b"look at more lines" in one.raw
        assert expected, (path, one.raw)
        answers.append(one)
    return answers


def guesses() -> list[str]:
    """Return values as a whole, parts of them, and each beginning, as somebody guesses letter by letter."""
    found = []
    for number in TWINS:
        for cls in ("email", "password", "ip"):
            value = secret(cls, number)
            found += [value, value[2:7], value[-5:], *(value[:length] for length in (1, 2, 3, 5, 7))]
    return sorted(set(found))


def parts() -> list[str]:
    """Return fewer of them."""
    return [part for number in TWINS for part in (secret("email", number), secret("email", number)[:3])]


@pytest.mark.attack("QL-07")
def test_qo_01_filters_letter_by_letter(desk: Desk) -> None:
    moves_nothing(desk, [f'{{}} {op} "{guess}"' for guess in guesses() for op in ("|=", "!=")])
    moves_nothing(desk, [f'{{}} {op} "mail {guess}.*"' for guess in guesses() for op in ("|~", "!~")])
    moves_nothing(desk, [f'{{}} |> "<_>{guess}<_>"' for guess in guesses()])
    moves_nothing(desk, [f'{{owner=~"{guess}.*"}}' for guess in guesses()])
    moves_nothing(desk, [f'{{}} | json | user=~"{guess}.*" or password="{guess}"' for guess in guesses()])


@pytest.mark.attack("QL-06")
def test_qo_02_counts(desk: Desk) -> None:
    for guess in guesses():
        moves_nothing(desk, [f'count_over_time({{}} |= "{guess}" [1m])', f'sum(rate({{}} |~ "^mail {guess}" [1m]))'])
    moves_nothing(desk, ["bytes_over_time({} [1m])", "sum by (owner) (count_over_time({} [1m]))"])
    moves_nothing(desk, [f'{{}} | line_format `{{{{ count "{letter}" __line__ }}}}`' for letter in "abcdefghij0123"])


@pytest.mark.attack("QL-08")
@pytest.mark.parametrize("encoder", ENCODERS)
def test_qo_03_templates_with_encoders(desk: Desk, encoder: str) -> None:
    values = ("__line__", ".user", ".owner", ".password", ".ip", ".msg")
    templates = [f"{{{{ {value} | {encoder} }}}}" for value in values]
    moves_nothing(desk, [f"{{}} | json | logfmt | line_format `{one}`" for one in templates])
    moves_nothing(desk, [f'{{}} | json | label_format x=`{one}` | x=~".*[a-e].*"' for one in templates])


@pytest.mark.attack("QL-08")
def test_qo_04_every_function_of_one_text(desk: Desk) -> None:
    single = [name for name, one in FUNCTIONS.items() if one.fewest <= 1 <= one.most]
    assert len(single) > 20
    moves_nothing(desk, [f"{{}} | json | line_format `{{{{ {name} .user }}}}`" for name in single])


def test_qo_05_parts_of_tokens(desk: Desk) -> None:
    answers = moves_nothing(
        desk,
        [
            '{} | regexp "(?P<part>.{3})@"',
            '{} | regexp "⟦(?P<label>[a-z]+):(?P<a>.)(?P<b>.)"',
            '{} | regexp "(?P<half>⟦.{4})" | half=~".*m.*"',
            '{} | pattern "<_>⟦<inside>⟧<_>"',
            '{} | pattern "mail <value> from" | line_format `{{ trunc 12 .value }}{{ substr 3 9 .value }}`',
            "{} | json | line_format `{{ trunc 2 .user }}`",
            '{} | line_format `{{ regexReplaceAll "⟦([^⟧]*)⟧" __line__ "$1" }}` | logfmt',
            '{} | line_format `{{ __line__ | replace "⟦" "" | replace "⟧" "" }}` |= "email"',
        ],
    )
    assert any(b'"line"' in answer.body for answer in answers)


def test_qo_06_numbers_and_addresses_of_masked_fields(desk: Desk) -> None:
    fields = ("user", "password", "ip", "owner")
    moves_nothing(desk, [f"{{}} | json | {name} {op} 5" for name in fields for op in (">", "<=", "==", "!=")])
    moves_nothing(desk, [f"{{}} | json | {name} > 5ms or {name} < 3KB" for name in fields])
    moves_nothing(desk, [f'{{}} | json | ip=ip("{net}")' for net in ("203.0.113.0/24", "203.0.114.0/24", "0.0.0.0/0")])
    moves_nothing(desk, ['{} |= ip("203.0.113.0/24")', '{} != ip("203.0.114.0/24")'])
    moves_nothing(desk, [f"max_over_time({{}} | json | unwrap {name} [1m])" for name in fields])
    moves_nothing(desk, [f'sum(sum_over_time({{}} | json | unwrap {name} | __error__="" [1m]))' for name in fields])


def test_qo_07_classes_of_errors(desk: Desk) -> None:
    answers = moves_nothing(
        desk,
        [
            '{} | json | __error__=""',
            "{} | json | password > 5 | __error__=`LabelFilterErr`",
            "{} | logfmt --strict | __error__!=``",
            "{} | json | line_format `{{ substr 9 (len .user) .user }}`",
            "{} | json | line_format `{{ b64dec .password }}`",
            '{} | json | line_format `{{ div 1 (count "a" .user) }}`',
            "{} | unpack | line_format `{{ .__error__ }} {{ .__error_details__ }}`",
            "count_over_time({} | json [1m])",
        ],
    )
    text = repr(answers)
    assert not [
        secret(cls, number) for cls in ("email", "password", "ip") for number in TWINS if secret(cls, number) in text
    ]


@pytest.mark.parametrize("size", SIZES)
def test_qo_08_limits(desk: Desk, size: int) -> None:
    gateway = 2 + SIZES.index(size)
    moves_nothing(desk, ["{}", '{} |= "mail"', "{} | json"], gateway=gateway)
    moves_no_answer(desk, [f"{LOKI}/{route}?{TIMES}&query={{}}" for route in READING], gateway=gateway)


def test_qo_08_limits_of_lines_and_budgets(desk: Desk) -> None:
    paths = [path_of("{}"), path_of("count_over_time({} [1m])"), path_of('{} |= "mail"') + "&limit=1"]
    paths += [f"{LOKI}/{route}?{TIMES}&query={{}}" for route in READING]
    moves_no_answer(desk, paths, gateway=1)
    for number in range(len(BUDGETS)):
        moves_no_answer(desk, paths, token=f"budget {number}")


def test_qo_09_literals_inside_tokens(desk: Desk) -> None:
    token = twin_pseudonym(secret("email", 1).encode(), cls="pii.email", label="email", key=b"k" * 32)
    parts = ["email", "ema", ":", "⟦", "⟧", "⟦email", "⟦email:", "⟧ from", "mail ⟦", "password", token[3:9]]
    answers = moves_nothing(desk, [f'{{}} |= "{part}"' for part in parts])
    assert not any(b"mail " in answers[part].body for part in (1, 5, 6))


CARRIERS = (
    ("{} | line_format `{{ b64dec __line__ }}`", base64.b64encode(f"⟦to {DECODED}@example.com⟧".encode()).decode()),
    ("{} | json", json.dumps({"x": f"password={DECODED}"}).replace("hunter", "\\u0068unter")),
    ("{} | json | line_format `{{.x}}`", json.dumps({"x": json.dumps({"password": DECODED})})),
    ('{} | json y="x"', json.dumps({"x": json.dumps({"password": DECODED})})),
    ("{} | unpack", json.dumps({"_entry": json.dumps({"password": DECODED}), "y": f'"password": "{DECODED}"'})),
    ("{} | json | line_format `{{ fromJson .x }}`", json.dumps({"x": json.dumps({"password": DECODED})})),
    (
        "{} | line_format `{{ range $k, $v := fromJson __line__ }}{{ $v }}{{ end }}`",
        json.dumps({"x": f"password={DECODED}"}).replace("=", "\\u003d"),
    ),
    ("{} | line_format `{{ urldecode __line__ }}`", f"password%3D{DECODED}"),
    ("{} | line_format `{{ __line__ | urldecode | urldecode }}`", f"password%253D{DECODED}"),
    ("{} | line_format `{{ b64dec __line__ }}`", base64.b64encode(f"password={DECODED}".encode()).decode()),
    (
        "{} | logfmt | line_format `{{ b64dec .x }}`",
        f"x={base64.b64encode(f'to {DECODED}@example.com'.encode()).decode()}",
    ),
    ("{} | logfmt", f'x="{{\\"password\\": \\"{DECODED}\\"}}"'),
    (
        "{} | line_format `{{ __line__ | b64dec | b64dec }}`",
        base64.b64encode(base64.b64encode(f"password={DECODED}".encode())).decode(),
    ),
)


@pytest.mark.parametrize(("query", "text"), CARRIERS)
def test_qo_10_what_a_stage_decodes_is_redacted_again(desk: Desk, query: str, text: str) -> None:
    found = desk.ask(path_of(query), (line(BASE_NS, text, service="a"),))
    assert b'"line"' in found.body, found
    assert DECODED.encode() not in found.body


READING = (
    *("query_range", "labels", "label/owner/values", "series", "index/stats", "index/volume", "index/volume_range"),
    *("detected_labels", "detected_fields", "detected_field/user/values"),
)


@pytest.mark.attack("QL-06")
@pytest.mark.parametrize("route", READING)
def test_qo_11_every_route_letter_by_letter(desk: Desk, route: str) -> None:
    """What a selector, or stages where a route takes them, say of masked labels and lines moves no answer."""
    asked = [f'{{owner=~"{part}.*"}}' for part in parts()] + [f'{{owner!="{part}"}}' for part in parts()]
    if route in ("query_range", "detected_fields", "detected_field/user/values"):
        asked += [f'{{}} |= "{part}"' for part in parts()] + [
            "{} | json | user=~`.*@.*`",
            "{} | logfmt",
            "{} | json",
        ]
    name = "match[]" if route == "series" else "query"
    more = "&targetLabels=owner" if "volume" in route else ""
    moves_no_answer(desk, [f"{LOKI}/{route}?{TIMES}{more}&{name}={quote(query)}" for query in asked])


@pytest.mark.parametrize("field", MASKED)
def test_qo_12_grouping_and_numbers_by_masked_fields(desk: Desk, field: str) -> None:
    lines = "{} | json | logfmt | drop __error__,__error_details__"
    asked = [
        f"sum by ({field}) (count_over_time({lines} [1m]))",
        f"count(sum by ({field}) (bytes_over_time({lines} [1m])))",
        f"topk(1, sum by ({field}) (rate({lines} [1m])))",
        f"sort_desc(max by ({field}) (count_over_time({lines} [1m])))",
        f"sum without ({field}) (count_over_time({lines} [1m]))",
        f'label_replace(sum by ({field}) (count_over_time({lines} [1m])), "part", "$1", "{field}", ".*(.{{4}})@.*")',
        f"max_over_time({lines} | label_format size=`{{{{ len .{field} }}}}` | unwrap size [1m]) by ({field})",
        f'sum(sum_over_time({lines} | label_format x=`{{{{ count "a" .{field} }}}}` | unwrap x [1m]))',
        *(f"{name}_over_time({lines} | unwrap {field} [1m])" for name in ("first", "last", "stddev", "avg")),
        f"quantile_over_time(0.5, {lines} | unwrap bytes({field}) [1m])",
    ]
    moves_nothing(desk, asked)
    moves_no_answer(desk, [f"{LOKI}/query?time={BASE_NS + 10**9}&query={quote(query)}" for query in asked])

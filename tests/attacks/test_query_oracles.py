"""The query language as an oracle: no question about a masked value moves the answer.

Each question is asked of two logs that differ in the masked value alone; twins of pseudonyms show one token.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from tests.fakes.gateway import MARKER, MASTER
from tests.gateway.world import T0, Line, line
from tests.promises.below import Circumstances, Desk, Transcript
from tests.promises.twin_logs import secret, twin_pseudonym

from loglease.gateway.request import Format
from loglease.logql.templates.functions import FUNCTIONS
from loglease.model.instant import EventWindow
from loglease.model.scope import Scope
from loglease.model.selector_text import parse_selector
from loglease.redaction import Keys, redactor_for

TWINS = (1, 51)
ENCODERS = ("b64enc", "urlencode", "html", "js", "urlquery", 'printf "%x"', 'printf "%q"', "upper", "title", "len")
DECODED = "hunter2horse"


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loglease.redaction.edits.pseudonym", twin_pseudonym)
        keys = Keys.derived(MASTER, salt=b"s" * 32, grant_id="grt")
        scope = Scope(
            source="src",
            selector=parse_selector('{service="a"}'),
            window=EventWindow(T0, T0 + 100),
            profile="pii-default@1",
        )
        made = Desk(scope, redactor_for(["pii-default@1"], keys=keys, marker=MARKER))
        yield made
        made.close()


def lines_with(number: int) -> tuple[Line, ...]:
    """Return lines with secrets of a number in text, fields, labels and metadata."""
    email, password, ip = (secret(cls, number) for cls in ("email", "password", "ip"))
    fields = json.dumps({"user": email, "password": password, "ip": ip, "n": "7", "msg": f'said "{email}"'})
    return (
        line(T0 + 1, f"mail {email} from {ip} password={password} end", service="a"),
        line(T0 + 2, fields, (("user", email), ("password", password)), service="a", owner=email),
        line(T0 + 3, f'user={email} password="{password}" ip={ip} msg="said \\"{email}\\""', service="a", owner="team"),
    )


def asked(desk: Desk, query: str, lines: tuple[Line, ...], **met: int) -> Transcript:
    times = "start=0" if query.startswith("{") else f"start=0&end={T0 + 10**9}"
    parameters = f"{times}&direction=forward&query={quote(query)}"
    return desk.answer(lines, parameters, Format.NDJSON, Circumstances(**met))


def moves_nothing(desk: Desk, queries: list[str], **met: int) -> list[Transcript]:
    """Ask both twins, and return the answers."""
    answers = []
    for query in queries:
        one, other = (asked(desk, query, lines_with(number), **met) for number in TWINS)
        assert one == other, query
        assert not one.problem or one.problem[0] in ("pipeline_error", "too_many_lines"), (query, one.problem)
        answers.append(one)
    return answers


def guesses() -> list[str]:
    """Return values as a whole, parts of them, and each beginning, as somebody guesses letter by letter."""
    found = []
    for number in TWINS:
        for cls in ("email", "password", "ip"):
            value = secret(cls, number)
            found += [value, value[2:7], value[-5:], *(value[:length] for length in range(1, 8))]
    return sorted(set(found))


def test_qo_01_filters_letter_by_letter(desk: Desk) -> None:
    moves_nothing(desk, [f'{{}} {op} "{guess}"' for guess in guesses() for op in ("|=", "!=")])
    moves_nothing(desk, [f'{{}} {op} "mail {guess}.*"' for guess in guesses() for op in ("|~", "!~")])
    moves_nothing(desk, [f'{{}} |> "<_>{guess}<_>"' for guess in guesses()])
    moves_nothing(desk, [f'{{owner=~"{guess}.*"}}' for guess in guesses()])
    moves_nothing(desk, [f'{{}} | json | user=~"{guess}.*" or password="{guess}"' for guess in guesses()])


def test_qo_02_counts(desk: Desk) -> None:
    for guess in guesses():
        moves_nothing(desk, [f'count_over_time({{}} |= "{guess}" [1m])', f'sum(rate({{}} |~ "^mail {guess}" [1m]))'])
    moves_nothing(desk, ["bytes_over_time({} [1m])", "sum by (owner) (count_over_time({} [1m]))"])
    moves_nothing(desk, [f'{{}} | line_format `{{{{ count "{letter}" __line__ }}}}`' for letter in "abcdefghij0123"])


@pytest.mark.parametrize("encoder", ENCODERS)
def test_qo_03_templates_with_encoders(desk: Desk, encoder: str) -> None:
    values = ("__line__", ".user", ".owner", ".password", ".ip", ".msg")
    templates = [f"{{{{ {value} | {encoder} }}}}" for value in values]
    moves_nothing(desk, [f"{{}} | json | logfmt | line_format `{one}`" for one in templates])
    moves_nothing(desk, [f'{{}} | json | label_format x=`{one}` | x=~".*[a-e].*"' for one in templates])


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
    assert any(answer.slices for answer in answers)


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


@pytest.mark.parametrize("size", [1, 60, 120, 180, 400])
def test_qo_08_limits(desk: Desk, size: int) -> None:
    moves_nothing(desk, ["{}", '{} |= "mail"', "{} | json"], scan_bytes=size)
    moves_nothing(desk, ["{}", "count_over_time({} [1m])"], scan_lines=2)


def test_qo_09_literals_inside_tokens(desk: Desk) -> None:
    token = twin_pseudonym(secret("email", 1).encode(), cls="pii.email", label="email", key=b"k" * 32)
    parts = ["email", "ema", ":", "⟦", "⟧", "⟦email", "⟦email:", "⟧ from", "mail ⟦", "password", token[3:9]]
    answers = moves_nothing(desk, [f'{{}} |= "{part}"' for part in parts])
    assert not any(b"mail " in chunk for part in (1, 5, 6) for chunk in answers[part].slices)


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
    found = asked(desk, query, (line(T0, text, service="a"),))
    assert found.slices, found
    assert DECODED.encode() not in b"".join(found.slices)

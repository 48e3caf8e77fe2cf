"""Calls of every route that a reader would make who wants to see what is masked."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from tests.promises.twin_calls import UPGRADE

from loglease.gateway.routes import Action

LINES = (
    "",
    '|~ "(?i)pass"',
    '!= "⟦"',
    '|= "⟦" |~ "[A-Za-z0-9]{12}"',
    '|> "<_>password<_>"',
    '|= ip("10.0.0.0/8") or "KEY"',
    "| json",
    "| json | drop msg",
    '| json x="password", y="ctx.list[0].password", z="ctx.list[0].note"',
    '| json | line_format "{{.password}} {{.db_password}} {{.userPassword}} {{.note}} {{.ctx_list}}"',
    '| json | line_format "{{.msg}}" | json | line_format "{{.again}}" | json',
    '| json | line_format "{{ range $k, $v := fromJson __line__ }}{{$k}}:{{$v}};{{end}}"',
    "| json | label_format data=`{{ .data | b64dec }}`",
    '| json | line_format "{{ b64dec .data }}|{{ b64dec .data | b64enc | b64dec | upper }}" | logfmt',
    '| json | line_format "{{ .msg | replace `\\\\` `` }}" | json',
    "| json | unpack",
    "| unpack",
    "| unpack | logfmt",
    '| unpack | line_format "{{.pod}} {{__line__}}"',
    "| logfmt",
    "| logfmt --strict --keep-empty",
    '| logfmt a="password", b="user", c="data"',
    '| logfmt | line_format "{{.password}}{{.user}}{{.msg}}" | logfmt',
    "| logfmt | label_format data=`{{ b64dec .data }}`, password=`{{ .user | urldecode }}`",
    '| logfmt | line_format `{{ regexReplaceAll "(.)" .data "$1-" }}`',
    '| logfmt | data=~".*[A-Za-z0-9]{12}.*"',
    '| regexp "(?P<first>.{8})(?P<second>.{8})(?P<third>.{8})(?P<rest>.*)"',
    '| regexp "(?P<k>[A-Za-z_-]+)[=:] ?(?P<v>[^ ]+)" | line_format "{{.v}}{{.k}}"',
    '| pattern "<level> <key>: <value>"',
    '| pattern "<_> <method> <path>?<query>" | line_format "{{ urldecode .query }}" | logfmt',
    "| decolorize",
    "| decolorize | logfmt | keep password, to",
    '| line_format "{{ urldecode __line__ }}"',
    '| line_format "{{ urldecode (urldecode __line__) }}" | logfmt',
    '| line_format "{{ __line__ | lower | trunc 120 }}{{ __line__ | substr 20 200 }}"',
    '| line_format "{{ __line__ | b64enc }}"',
    '| line_format "{{ b64dec (b64enc __line__) }}"',
    '| line_format "{{ printf `%x` __line__ }}"',
    '| line_format "{{ sha256 __line__ | printf `%s` }}"',
    '| line_format "{{ __line__ | replace `⟦` `` | replace `⟧` `` }}" | logfmt | json',
    '| line_format "{{ .nothing.at.all }}{{ div 1 0 }}"',
    '| line_format "{{ fail __line__ }}"',
    '| line_format "{{ .pod }}{{ .owner }}{{ .password }}{{ .token }}{{ .user }}"',
    '| label_format pod="x{{.pod}}", owner=password, password="{{ b64enc .password }}"',
    '| password=~".+" | drop password',
    '| user=~".*@.*"',
    '| pod=~".*[a-z0-9]{12}.*"',
    '| api_key!=""',
    '| json | __error__!=""',
    '| logfmt --strict | __error__!="" | line_format "{{.__error__}} {{.__error_details__}}"',
    '| json | line_format "{{.__error_details__}}"',
    '| detected_level="error" | keep __error__, user',
)
"""What follows a selector in a log query."""

METRICS = (
    "sum by (password, user, owner, pod) (count_over_time(%s [2h]))",
    "count by (password, note, msg) (count_over_time(%s | json [2h]))",
    "sum by (password, user, data, to) (count_over_time(%s | logfmt [2h]))",
    "topk(50, sum by (v) (count_over_time(%s | regexp `[=:] ?(?P<v>[^ ]+)` [2h])))",
    "sum by (data) (count_over_time(%s | logfmt | label_format data=`{{ b64dec .data }}` [2h]))",
    "sum_over_time(%s | json | unwrap password [2h])",
    "max_over_time(%s | json | unwrap paid_with [2h]) by (user)",
    "max_over_time(%s | json | unwrap paid_with | __error__=`` [2h]) by (msg)",
    "max_over_time(%s | logfmt | unwrap bytes(user) | __error__!=`` [2h]) by (__error_details__, user)",
    "quantile_over_time(0.99, %s | logfmt | unwrap duration(data) | __error__=`` [2h]) by (password)",
    "sum by (x) (label_replace(count_over_time(%s [2h]), `x`, `$1`, `password`, `(.*)`))",
    "sum by (pod) (bytes_over_time(%s [2h])) / on (pod) group_left (owner) sum by (pod, owner) (rate(%s [2h]))",
    "count_over_time(%s | line_format `{{ urldecode __line__ }}` | logfmt [2h])",
    "first_over_time(%s | pattern `<_>=<n> <_>` | unwrap n [2h])",
    "absent_over_time(%s |= `⟦` [2h])",
)
"""Metric queries; a selector comes for each place."""

WRONG = (
    "%s | regexp `(`",
    "%s |~ `*`",
    "%s | line_format `{{`",
    "%s | json | unwrap x",
    "sum(",
    "rate(%s | unwrap [5m])",
    "%s | pattern `<a><b>`",
    "{",
)
FIELDS = ("password", "user", "note", "msg", "data", "to", "owner", "pod", "ctx_list")

Call = tuple[str, str, tuple[str, ...]]
"""Method, path behind the grant's address with its query, and headers."""


def calls(selectors: list[str], *, start_ns: int, end_ns: int) -> Iterator[tuple[Action, Call]]:
    """Yield calls of every route.

    Args:
        selectors: what each of them selects is small enough for one answer.
    """
    span = f"start={start_ns}&end={end_ns}"
    for selector in selectors:
        for number, stages in enumerate(LINES):
            query = quote(f"{selector} {stages}")
            accept = ("application/x-ndjson", "text/event-stream", "text/plain")[number % 3]
            yield Action.LOGS, ("GET", f"/logs?{span}&limit=5000&query={query}", (f"Accept: {accept}",))
            flags = ("X-Loki-Response-Encoding-Flags: categorize-labels",) if number % 2 else ()
            direction = ("forward", "backward")[number % 2]
            path = f"query_range?{span}&limit=5000&direction={direction}&query={query}"
            yield Action.QUERY_RANGE, ("GET", f"/loki/api/v1/{path}", flags)
        for number, template in enumerate(METRICS):
            query = quote(template.replace("%s", selector))
            yield Action.QUERY, ("GET", f"/loki/api/v1/query?time={end_ns}&query={query}", ())
            yield Action.QUERY_RANGE, ("GET", f"/loki/api/v1/query_range?{span}&step=3600&query={query}", ())
            if number % 3 == 0:
                yield Action.LOGS, ("GET", f"/logs?{span}&query={query}", ("Accept: application/json",))
        yield from _others(selector, span)
    for selector in selectors:
        for text in WRONG:
            query = quote(text.replace("%s", selector))
            yield Action.QUERY, ("GET", f"/loki/api/v1/query?time={end_ns}&query={query}", ())
            yield Action.LOGS, ("GET", f"/logs?{span}&query={query}", ())


def _others(selector: str, span: str) -> Iterator[tuple[Action, Call]]:
    query = quote(selector)
    yield Action.LABELS, ("GET", f"/loki/api/v1/labels?{span}&query={query}", ())
    yield Action.LABEL, ("GET", f"/loki/api/v1/label?{span}&query={query}", ())
    for name in FIELDS:
        yield Action.VALUES, ("GET", f"/loki/api/v1/label/{name}/values?{span}&query={query}", ())
        yield Action.FIELD_VALUES, ("GET", f"/loki/api/v1/detected_field/{name}/values?{span}&query={query}", ())
    yield Action.SERIES, ("GET", f"/loki/api/v1/series?{span}&match[]={query}", ())
    for action in (Action.STATISTICS, Action.PATTERNS, Action.VOLUME, Action.VOLUME_RANGE, Action.DETECTED_LABELS):
        yield action, ("GET", f"/loki/api/v1/{action.value}?{span}&query={query}", ())
    named = "targetLabels=pod,owner,password,token"
    yield Action.VOLUME, ("GET", f"/loki/api/v1/index/volume?{span}&{named}&query={query}", ())
    for stages in ("", " | json", " | logfmt", " | regexp `(?P<k>[a-z]+)=(?P<v>[^ ]+)`"):
        asked = f"{span}&line_limit=5000&query={quote(selector + stages)}"
        yield Action.DETECTED_FIELDS, ("GET", f"/loki/api/v1/detected_fields?{asked}", ())
    yield Action.FORMAT, ("GET", f"/loki/api/v1/format_query?query={query}", ())
    yield Action.BUILD, ("GET", "/loki/api/v1/status/buildinfo", ())
    yield Action.LIMITS, ("GET", "/loki/api/v1/drilldown-limits", ())


def tails(services: list[str], *, start_ns: int) -> Iterator[tuple[Action, Call]]:
    """Yield calls that follow the lines of a service each; they do not end by themselves."""
    for service in services:
        for stages in ("", "| json", '| line_format "{{ urldecode __line__ }}"'):
            query = quote(f'{{service="{service}"}} {stages}')
            yield Action.TAIL, ("GET", f"/loki/api/v1/tail?start={start_ns}&limit=5000&query={query}", UPGRADE)
            yield Action.LOGS, ("GET", f"/logs?start={start_ns}&follow=true&limit=5000&query={query}", ())

"""The configured providers of facts: each kind from its part of the settings, all mistakes together."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from loglease.access.facts import ANSWER_WITHIN_S
from loglease.model.errors import FieldFault, InvalidField
from loglease.server.facts.fields import (
    headers_in,
    one_of,
    refuse_open_secrets,
    seconds_in,
    secret_text,
    texts_in,
    url_in,
)
from loglease.server.facts.http import HttpConfig, HttpFact
from loglease.server.facts.pointers import Pointer, pointer_of
from loglease.server.facts.presence import GATEWAY, IDENTITY
from loglease.server.facts.rotas import RotaConfig, RotaSource
from loglease.server.facts.static import StaticConfig, StaticValue
from loglease.server.facts.templates import template_of
from loglease.server.identity.records import LOCAL
from loglease.server.settings import Settings, SettingsInvalid
from loglease.sources.faults import Faults
from loglease.sources.remote import ca_file_of

STATIC: Final = "static"
HTTP: Final = "http"
ICALENDAR: Final = "icalendar"
ABSENT_STATUSES: Final = frozenset({204, 404, 410})
"""What may mean that there is no such thing; a refusal or an outage never does."""

MAX_VALUES: Final = 10_000
_MISSING: Final = "missing"
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_ROTA: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_FACT: Final = re.compile(r"(?:ctx|approver)\.[a-z][a-z0-9_]{0,62}")
_SHARED: Final = ("kind", "private_network", "insecure_http", "ca_file", "headers", "timeout_s")
_LONGEST_S: Final = 86_400.0

ProviderConfig = StaticConfig | HttpConfig | RotaConfig
_Reading = Callable[[str, Mapping[str, Any], Faults, Path], ProviderConfig]


def provider_configurations(settings: Settings) -> list[ProviderConfig]:
    """Return the configuration of each provider.

    Raises:
        SettingsInvalid: with one fault for each mistake; no secret is in it.
    """
    mistakes: list[FieldFault] = []
    found: list[ProviderConfig] = []
    for name, raw in settings.facts.providers.items():
        faults = Faults("provider of facts")
        try:
            config = _read(name, raw, faults, settings.data_dir)
            faults.raise_any(name)
        except InvalidField as error:
            place = f"facts.providers.{name}"
            mistakes += [replace(one, pointer=f"{place}{one.pointer.replace('/', '.')}") for one in error.faults]
        else:
            found.append(config)
    mistakes += _same_rotas(found)
    if mistakes:
        raise SettingsInvalid(
            f"The providers of facts have {len(mistakes)} mistake{'s' * (len(mistakes) != 1)}.",
            next_step="Correct them: docs/reference/configuration.md has every setting.",
            faults=tuple(mistakes),
        )
    return found


def _read(name: str, raw: Mapping[str, Any], faults: Faults, base: Path) -> ProviderConfig:
    if not _NAME.fullmatch(name) or name in (IDENTITY, GATEWAY):
        faults.add("", f"A provider has 1 to 63 of a-z, 0-9, - and _, and is not {IDENTITY} or {GATEWAY}.")
    kinds: dict[str, _Reading] = {STATIC: _static, HTTP: _http, ICALENDAR: _icalendar}
    return kinds[one_of(faults, "/kind", raw.get("kind"), tuple(kinds))](name, raw, faults, base)


def _same_rotas(found: list[ProviderConfig]) -> list[FieldFault]:
    """Refuse a rota that two providers have: who is on call has one answer."""
    first: dict[str, str] = {}
    faults = []
    for config in found:
        for rota in config.rotas if isinstance(config, RotaConfig) else ():
            if (other := first.setdefault(rota.name, config.name)) != config.name:
                place = f"facts.providers.{config.name}.rotas.{rota.name}"
                faults.append(FieldFault(place, "invalid_field", f"The provider {other} has this rota, too."))
    return faults


def _static(name: str, raw: Mapping[str, Any], faults: Faults, _base: Path) -> StaticConfig:
    faults.unknown("", raw, ("kind", "values"))
    values = faults.sequence("/values", raw.get("values", ()))
    if not values or len(values) > MAX_VALUES:
        faults.add("/values", f'Write 1 to {MAX_VALUES:,} values, such as {{ fact = "ctx.on_call", value = true }}.')
    return StaticConfig(name=name, values=tuple(_value(one, f"/values/{n}", faults) for n, one in enumerate(values)))


def _value(raw: object, pointer: str, faults: Faults) -> StaticValue:
    given = faults.mapping(pointer, raw)
    faults.unknown(pointer, given, ("fact", "value", "accounts", "groups", "labels"))
    if "value" not in given:
        faults.add(f"{pointer}/value", "This field is required.")
    chosen = {
        one: texts_in(faults, f"{pointer}/{one}", given[one])
        for one in ("accounts", "groups", "labels")
        if one in given
    }
    fact = _fact(faults, f"{pointer}/fact", given.get("fact"))
    return StaticValue(fact=fact, raw=given.get("value"), **chosen)


def _fact(faults: Faults, pointer: str, value: object) -> str:
    if isinstance(value, str) and _FACT.fullmatch(value):
        return value
    faults.add(pointer, "Name a fact as policies do, such as ctx.incident or approver.team.")
    return ""


def _http(name: str, raw: Mapping[str, Any], faults: Faults, base: Path) -> HttpConfig:
    faults.unknown("", raw, (*_SHARED, "url", "method", "body", "facts", "absent_when", "keep_s"))
    private = faults.flag("/private_network", raw.get("private_network", False))
    url = faults.text("/url", raw.get("url", ""))
    origin = url_in(faults, "/url", url, private=private, places=True)
    headers, secret_headers = headers_in(faults, raw, base)
    faults.flag("/insecure_http", raw.get("insecure_http", False))
    refuse_open_secrets(faults, "/url", url, raw, secret=bool(secret_headers))
    statuses, missing = _absent_when(faults, raw.get("absent_when", []))
    return HttpConfig(
        name=name,
        url=template_of(url),
        origin=origin,
        body=_body(faults, raw),
        headers=headers,
        secret_headers=secret_headers,
        facts=_facts(faults, raw.get("facts", {})),
        absent_status=statuses,
        absent_missing=missing,
        timeout_s=seconds_in(faults, raw, "timeout_s", 1.5, (0.1, ANSWER_WITHIN_S)),
        keep_s=seconds_in(faults, raw, "keep_s", 5.0, (0.0, 60.0)),
        private=private,
        ca_file=ca_file_of(faults, raw, base),
    )


def _body(faults: Faults, raw: Mapping[str, Any]) -> Any:
    method = one_of(faults, "/method", raw.get("method", "GET"), ("GET", "POST"))
    if (method == "POST") is not ("body" in raw):
        faults.add(
            "/body", "A POST has a body of JSON, with places such as {label} inside its strings; a GET has none."
        )
    return template_of(faults.text("/body", raw["body"])) if "body" in raw else None


def _facts(faults: Faults, raw: object) -> dict[str, HttpFact]:
    given = faults.mapping("/facts", raw)
    if not given:
        faults.add("/facts", 'Say where each fact stands, such as facts."ctx.incident" = { value = "/0" }.')
    found = {}
    for name, inner in given.items():
        at = f"/facts/{name}"
        where = faults.mapping(at, inner)
        faults.unknown(at, where, ("value", "fields", "observed_at", "reference"))
        fields = faults.mapping(f"{at}/fields", where.get("fields", {}))
        found[_fact(faults, at, name)] = HttpFact(
            value=_pointer(faults, f"{at}/value", where.get("value", "")) or Pointer(),
            fields={one: _pointer(faults, f"{at}/fields/{one}", text) or Pointer() for one, text in fields.items()},
            observed_at=_pointer(faults, f"{at}/observed_at", where.get("observed_at")),
            reference=_pointer(faults, f"{at}/reference", where.get("reference")),
        )
    return found


def _pointer(faults: Faults, pointer: str, value: object) -> Pointer | None:
    if value is None:
        return None
    try:
        return pointer_of(faults.text(pointer, value))
    except ValueError as error:
        faults.add(pointer, f"{error}.")
        return None


def _absent_when(faults: Faults, raw: object) -> tuple[frozenset[int], bool]:
    items = raw if isinstance(raw, list) else [raw]
    for one in items:
        if one != _MISSING and (isinstance(one, bool) or one not in ABSENT_STATUSES):
            known = ", ".join(map(str, sorted(ABSENT_STATUSES)))
            faults.add(
                "/absent_when", f'Write any of {known} and "{_MISSING}"; an error never means that there is none.'
            )
    return frozenset(one for one in items if one in ABSENT_STATUSES), _MISSING in items


def _icalendar(name: str, raw: Mapping[str, Any], faults: Faults, base: Path) -> RotaConfig:
    faults.unknown("", raw, (*_SHARED, "rotas", "people", "domain", "issuer", "zone", "refresh_s", "max_age_s"))
    private = faults.flag("/private_network", raw.get("private_network", False))
    _, secret_headers = headers_in(faults, raw, base)
    faults.flag("/insecure_http", raw.get("insecure_http", False))
    rotas = faults.mapping("/rotas", raw.get("rotas", {}))
    if not rotas:
        faults.add("/rotas", 'Name at least one, such as rotas.payments = { file = "payments.ics" }.')
    people = faults.mapping("/people", raw.get("people", {}))
    accounts = {who.strip().casefold(): faults.text(f"/people/{who}", account) for who, account in people.items()}
    domain = faults.text("/domain", raw["domain"]).casefold() if "domain" in raw else None
    if not accounts and domain is None:
        faults.add("/people", 'Say which accounts calendars mean: people."maria@example.com" = "maria", or domain.')
    refresh_s = seconds_in(faults, raw, "refresh_s", 60.0, (5.0, 3_600.0))
    return RotaConfig(
        name=name,
        issuer=faults.text("/issuer", raw.get("issuer", LOCAL)),
        rotas=tuple(_rota(faults, one, inner, raw, base) for one, inner in rotas.items()),
        zone=_zone(faults, raw.get("zone")),
        people=accounts,
        domain=domain,
        refresh_s=refresh_s,
        max_age_s=seconds_in(faults, raw, "max_age_s", max(900.0, 3 * refresh_s), (refresh_s, _LONGEST_S)),
        timeout_s=seconds_in(faults, raw, "timeout_s", 10.0, (0.1, 60.0)),
        secret_headers=secret_headers,
        private=private,
        ca_file=ca_file_of(faults, raw, base),
    )


def _rota(faults: Faults, name: str, inner: object, raw: Mapping[str, Any], base: Path) -> RotaSource:
    at = f"/rotas/{name}"
    given = faults.mapping(at, inner)
    faults.unknown(at, given, ("file", "url", "by", "labels"))
    if not _ROTA.fullmatch(name):
        faults.add(at, "A rota has 1 to 63 of a-z, 0-9, and . _ - behind the first.")
    if ("file" in given) is ("url" in given):
        faults.add(at, 'Write file = "payments.ics" or url = "https://…", or url = { file = "payments.url" }.')
    labels = faults.mapping(f"{at}/labels", given.get("labels", {}))
    return RotaSource(
        name=name,
        file=base / faults.text(f"{at}/file", given["file"]) if "file" in given else None,
        url=_calendar_url(faults, f"{at}/url", given["url"], raw, base) if "url" in given else None,
        by_summary=one_of(faults, f"{at}/by", given.get("by", "attendee"), ("attendee", "summary")) == "summary",
        labels={key: texts_in(faults, f"{at}/labels/{key}", values) for key, values in labels.items()},
    )


def _calendar_url(faults: Faults, pointer: str, given: object, raw: Mapping[str, Any], base: Path) -> str:
    """Return the address of a calendar; many services make it a secret, so it may be in a file or a variable."""
    secret = isinstance(given, Mapping)
    if isinstance(given, Mapping):
        faults.unknown(pointer, given, ("file", "env"))
        url = secret_text(faults, pointer, given, base).strip()
    else:
        url = faults.text(pointer, given)
    before = len(faults.found)
    url_in(faults, pointer, url, private=raw.get("private_network") is True, places=False)
    if len(faults.found) == before:
        refuse_open_secrets(faults, pointer, url, raw, secret=secret or bool(raw.get("headers")))
    return url


def _zone(faults: Faults, value: object) -> ZoneInfo | None:
    if value is None:
        return None
    try:
        return ZoneInfo(faults.text("/zone", value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        faults.add("/zone", "Write the name of an IANA zone, such as Europe/Berlin or UTC.")
        return None

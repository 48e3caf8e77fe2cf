"""The channels of one server from its settings, and what masks the texts that leave through them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from loglease.access.commitments import Random
from loglease.access.notices import Ways
from loglease.model.clock import Clock
from loglease.model.errors import FieldFault
from loglease.model.notice import EMAIL
from loglease.redaction import KEY_BYTES, Keys, RedactionError, Redactor
from loglease.server.engines import Engines
from loglease.server.notifications.channel import Channel
from loglease.server.notifications.mail import Mail, MailServer
from loglease.server.notifications.settings import ChannelSettings, MailSettings, NotificationSettings
from loglease.server.notifications.webhook import Webhook, secret_of
from loglease.server.settings import SettingsInvalid

PROFILE: Final = "secrets"
WITHHELD: Final = "(not shown: it could not be checked for secrets)"
_OTHERS: Final = 0o077
_MAX_SECRETS: Final = 2
_MAX_SECRET_FILE: Final = 4_096


def ways_of(settings: NotificationSettings) -> Ways:
    """Return how people and programs are reached."""
    return Ways(
        email=settings.email is not None,
        subscribers={name: frozenset(one.events) for name, one in settings.channels.items() if one.events},
        operators=tuple(settings.operators),
    )


def channels_of(settings: NotificationSettings, base: Path, clock: Clock) -> dict[str, Channel]:
    """Return the channels by name; that of people's own addresses is called `EMAIL`.

    Args:
        base: the directory that relative paths are meant from.

    Raises:
        SettingsInvalid: with one fault for each secret that cannot be read, is open to others or is none.
    """
    faults: list[FieldFault] = []
    server = None if settings.email is None else _mail_server(settings.email, base, faults)
    found: dict[str, Channel] = {} if server is None else {EMAIL: Mail(server)}
    for name, one in settings.channels.items():
        if one.kind == EMAIL and server is not None:
            found[name] = Mail(server, to=tuple(one.to))
        elif one.url is not None and one.secret_file is not None:
            found[name] = _webhook(name, one, base, clock, faults)
    if faults:
        raise SettingsInvalid(
            f"The notifications have {len(faults)} mistake{'s' * (len(faults) != 1)}.",
            next_step="Correct them: docs/reference/configuration.md has every setting.",
            faults=tuple(faults),
        )
    return found


def _mail_server(settings: MailSettings, base: Path, faults: list[FieldFault]) -> MailServer:
    password = None
    if settings.password_file is not None:
        password = _secret_text("notifications.email.password_file", base / settings.password_file, faults)
    return MailServer(
        host=settings.host,
        port=settings.port,
        security=settings.security,
        sender=settings.sender,
        user=settings.user,
        password=password,
        ca_file=_ca_file("notifications.email.ca_file", settings.ca_file, base, faults),
    )


def _webhook(name: str, settings: ChannelSettings, base: Path, clock: Clock, faults: list[FieldFault]) -> Webhook:
    place = f"notifications.channels.{name}"
    secrets = []
    lines = _secret_text(f"{place}.secret_file", base / (settings.secret_file or ""), faults).split()
    try:
        secrets = [secret_of(line) for line in lines]
    except ValueError as error:
        faults.append(FieldFault(f"{place}.secret_file", "wrong_form", f"In the file {error}."))
    if len(lines) > _MAX_SECRETS:
        faults.append(
            FieldFault(f"{place}.secret_file", "too_many", "The file has one secret, or two of which one goes.")
        )
    return Webhook(
        settings.url or "",
        secrets,
        clock=clock,
        private=settings.private_network,
        ca_file=_ca_file(f"{place}.ca_file", settings.ca_file, base, faults),
    )


def _ca_file(place: str, path: Path | None, base: Path, faults: list[FieldFault]) -> str | None:
    if path is None:
        return None
    if not (base / path).is_file():
        faults.append(FieldFault(place, "not_found", f"{base / path} is no file: name one with certificates in PEM."))
    return str(base / path)


def _secret_text(place: str, path: Path, faults: list[FieldFault]) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                faults.append(FieldFault(place, "open_to_others", f"Others may read {path}: chmod 600 {path}"))
            text = file.read(_MAX_SECRET_FILE).strip()
    except (OSError, UnicodeDecodeError):
        faults.append(FieldFault(place, "unreadable", f"{path} has to be a text of the server's user, chmod 600."))
        return ""
    if not text:
        faults.append(FieldFault(place, "empty", f"{path} has no secret."))
    return text


def scrubber(engines: Engines, key: bytes, random: Random) -> Callable[[str], str]:
    """Return what masks secrets in a text that somebody wrote; a text that cannot be vouched for is not shown.

    It blocks, above all the first time and after new rules.
    """
    keys = Keys.derived(key, salt=random(KEY_BYTES), grant_id="notices")
    built: dict[int, Redactor] = {}

    def scrub(text: str) -> str:
        library = engines.library.current
        try:
            found = built.get(id(library))
            if found is None or not engines.serves(found):
                newest = max((one for one in library.profiles if one.name == PROFILE), key=lambda one: one.version)
                found = engines.redactor(newest.pin, keys)
                built.clear()
                built[id(library)] = found
            return found.value(None, text.encode("utf-8", "replace")).out.decode()
        except RedactionError:
            return WITHHELD

    return scrub


def missing(channels: Mapping[str, Channel], named: frozenset[str]) -> list[str]:
    """Return the channels that policies name and this server does not have, sorted."""
    return sorted(named - channels.keys())

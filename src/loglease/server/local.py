"""Commands that run the server or look at it from the same machine: `serve` and `doctor`.

The command line calls them by name; they print and return an exit code.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from loglease import redaction
from loglease.model.errors import LogLeaseError
from loglease.model.instant import MICROSECONDS
from loglease.model.pace import BACK_S
from loglease.server.bundles import NOTHING_KNOWN, candidate, require_timely, rules_from
from loglease.server.clock import SystemClock, run_marker, system_random
from loglease.server.configured_sources import (
    RemoteConfig,
    SourceConfig,
    inbox_of,
    remote_reader,
    source_configurations,
    source_of,
)
from loglease.server.databases import FILE, database_version
from loglease.server.facts.configuration import ProviderConfig, provider_configurations
from loglease.server.facts.providers import opened
from loglease.server.health import FREE_SHARE
from loglease.server.identity.sign_in import ADMIN_FILE
from loglease.server.policies import policy_directory
from loglease.server.process import Ready, run_process
from loglease.server.redaction_rules import library_of, rules_directory
from loglease.server.secret_file import PRIVATE_KEY, PSEUDONYM_KEY
from loglease.server.settings import HttpSettings, Settings, SettingsInvalid, load_settings
from loglease.server.telemetry import configure
from loglease.server.wiring import HEAD, JOURNAL
from loglease.sources.files import FileSourceConfig
from loglease.sources.interface import Health
from loglease.sources.registry import Sources
from loglease.store.sqlite_library import Mode, running_library

OK: Final = 0
FAILED: Final = 2
FOUND: Final = 3
_PRIVATE: Final = 0o077

Grade = Literal["ok", "warn", "fail"]


def serve(
    *,
    config: Path | None = None,
    data_dir: Path | None = None,
    listen: str | None = None,
    health: str | None = None,
    insecure_http: bool = False,
    out: TextIO | None = None,
) -> int:
    """Run control plane and gateway in this process until a signal ends it; return the exit code."""
    out = out or sys.stdout
    configure()
    try:
        settings = load_settings(
            config=config, overrides=_overrides(data_dir=data_dir, listen=listen, health=health, insecure=insecure_http)
        )
        asyncio.run(run_process(settings, on_ready=lambda ready: announce(ready, out)))
    except LogLeaseError as error:
        print_error(error, sys.stderr)
        return FAILED
    except OSError as error:
        print(f"error: {error.strerror or error} [store_unavailable]", file=sys.stderr)  # noqa: T201 - a command
        return FAILED
    return OK


def _overrides(*, data_dir: Path | None, listen: str | None, health: str | None, insecure: bool) -> dict[str, Any]:
    http = {"listen": listen, "health": health, "insecure_http": insecure or None}
    given: dict[str, Any] = {"http": {name: value for name, value in http.items() if value is not None}}
    if data_dir is not None:
        given["data_dir"] = str(data_dir)
    return given


def print_error(error: LogLeaseError, out: TextIO) -> None:
    """Print an error in its three parts, with every wrong field."""
    lines = [f"error: {error.message} [{error.code}]"]
    lines += [f"  {fault.pointer}: {fault.detail}" for fault in error.faults]
    lines += [f"rule: {error.rule}"] if error.rule else []
    lines += [f"next: {error.next_step}"] if error.next_step else []
    print("\n".join(lines), file=out, flush=True)


def announce(ready: Ready, out: TextIO) -> None:
    """Print where everything is, the first login once, and what to do next as long as all of it is new."""
    settings = ready.services.settings
    lines = [
        f"Data      {settings.data_dir}",
        f"Address   {ready.url}",
        f"Health    {ready.health_url}/readyz",
        f"Log key   {ready.services.publishing.key}",
        "          the audit log is verified with it; its newest head: loglease audit checkpoint",
    ]
    if settings.http.insecure_http and not settings.http.tls and not settings.http.listens_at.loopback:
        lines.append("Warning   plain HTTP: passwords and log lines can be read on the network (--insecure-http)")
    if ready.admin_password is not None:
        lines += _first_login(ready.admin_password, settings.data_dir, shown=out.isatty())
    if ready.is_new:
        lines += _first_steps(ready, settings)
    print("\n".join(lines), file=out, flush=True)


def _first_steps(ready: Ready, settings: Settings) -> list[str]:
    inbox = inbox_of(settings)
    logs = f"put log files into {inbox}" if inbox else f"sources: {', '.join(sorted(ready.services.sources))}"
    usual = ready.url == f"http://{HttpSettings().listen}"
    return [
        f"Next      1. sign in: {'' if usual else f'export LOGLEASE_SERVER={ready.url} && '}loglease login",
        "          2. add the people who ask and approve: loglease admin user add bob@example.com --group approvers",
        f"          3. {logs}; then loglease request '{{service=\"…\"}}'",
    ]


def _first_login(password: str, data_dir: Path, *, shown: bool) -> list[str]:
    """Return the lines about the first login; without a terminal the password goes into a file of ours only."""
    if shown:
        return [f"Login     admin / {password}   (shown once)"]
    path = data_dir / ADMIN_FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(password + "\n")
    return [f"Login     admin, password in {path} (removed at the first sign-in)"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of `doctor`, with its remedy unless it is ok."""

    name: str
    grade: Grade
    detail: str
    remedy: str | None = None


def doctor(
    *, config: Path | None = None, data_dir: Path | None = None, as_json: bool = False, out: TextIO | None = None
) -> int:
    """Check this machine and the configuration without changing anything; return 3 if a check failed, else 0."""
    out = out or sys.stdout
    found = findings(config=config, data_dir=data_dir)
    if as_json:
        body = [{name: value for name, value in _fields(one).items() if value is not None} for one in found]
        print(json.dumps({"checks": body}), file=out)
    else:
        for one in found:
            print(f"{one.grade:<5} {one.name:<12} {one.detail}", file=out)
            if one.remedy and one.grade != "ok":
                print(f"      {'':<12} {one.remedy}", file=out)
    return FOUND if any(one.grade == "fail" for one in found) else OK


def _fields(one: Finding) -> Mapping[str, str | None]:
    return {"name": one.name, "grade": one.grade, "detail": one.detail, "remedy": one.remedy}


def findings(*, config: Path | None = None, data_dir: Path | None = None) -> list[Finding]:
    """Return every check of this machine."""
    found = [_python()]
    try:
        settings = load_settings(
            config=config, overrides=_overrides(data_dir=data_dir, listen=None, health=None, insecure=False)
        )
    except SettingsInvalid as error:
        faults = [
            Finding("settings", "fail", f"{fault.pointer}: {fault.detail}", error.next_step) for fault in error.faults
        ]
        return found + (faults or [Finding("settings", "fail", error.message, error.next_step)])
    found += [_database(settings), Finding("settings", "ok", f"The data directory is {settings.data_dir}.")]
    rules, library = _rules(settings)
    return [
        *found, *rules, *_redactor(library), *_data(settings), _listener(settings), *_facts(settings),
        *_sources_and_policy(settings, library),
    ]  # fmt: skip


def _python() -> Finding:
    return Finding("python", "ok", f"Python {platform.python_version()} on {platform.system()}.")


def _database(settings: Settings) -> Finding:
    try:
        if version := database_version(settings):
            return Finding("database", "ok", f"PostgreSQL {version}.")
    except LogLeaseError as error:
        return Finding("database", "fail", error.message, error.next_step)
    library = running_library()
    if library.mode is Mode.WAL:
        return Finding("database", "ok", f"SQLite {library.version}, with readers beside the writer.")
    return Finding(
        "database",
        "warn",
        f"SQLite {library.version} has a fault with several connections, so one is used.",
        "Install a newer SQLite, or the package pysqlite3 where it has a wheel.",
    )


def _rules(settings: Settings) -> tuple[list[Finding], redaction.Library]:
    """Check packs and profiles of one's own; where they are wrong, the rest is checked with those that ship."""
    try:
        library = library_of(settings)
    except LogLeaseError as error:
        faults = [Finding("rules", "fail", f"{one.pointer}: {one.detail}", error.next_step) for one in error.faults]
        return faults or [Finding("rules", "fail", error.message, error.next_step)], redaction.builtin_library()
    directory = rules_directory(settings)
    detail = f"{len(library.files)} packs and profiles in {directory}." if directory else "None but those that ship."
    return [Finding("rules", "ok", detail)], library


def _redactor(library: redaction.Library) -> list[Finding]:
    keys = redaction.Keys.derived(system_random(redaction.KEY_BYTES), salt=system_random(32), grant_id="doctor")
    found = []
    for profile in library.profiles:
        try:
            redaction.redactor_for(
                [profile.pin], keys=keys, marker=run_marker(), profiles=library.profiles, packs=library.packs
            )
        except redaction.RedactionError as error:
            found.append(Finding("redaction", "fail", f"{profile.pin} fails its self-test: {error}.", "Install anew."))
    return found or [Finding("redaction", "ok", f"{len(library.profiles)} profiles pass their self-test.")]


def _data(settings: Settings) -> list[Finding]:
    place = settings.data_dir
    if not place.exists():
        above = next(folder for folder in place.parents if folder.exists())
        if not above.is_dir() or not os.access(above, os.W_OK):
            return [Finding("data", "fail", f"{place} cannot be made in {above}.", "Name another: --data-dir.")]
        return [Finding("data", "ok", "The data directory is made at the first start.")]
    found = [
        Finding("data", "fail", f"{path} is open to others.", f"chmod go-rwx {path}")
        for path in (place, *(place / name for name in (FILE, JOURNAL, HEAD, PSEUDONYM_KEY, PRIVATE_KEY)))
        if path.exists() and path.stat().st_mode & _PRIVATE
    ]
    stats = os.statvfs(place)
    share = stats.f_bavail / max(1, stats.f_blocks)
    grade: Grade = "ok" if share > FREE_SHARE else "fail"
    return [
        *found,
        _clock(place),
        Finding("disk", grade, f"{share:.0%} of the disk is free.", "Make room: below 5 % the server is not ready."),
    ]


def _clock(place: Path) -> Finding:
    """Hold the clock against the files that a server writes all the time; one that runs knows more (`/readyz`)."""
    files = [(path.stat().st_mtime, path.name) for path in (place / FILE, place / HEAD) if path.exists()]
    written, name = max(files, default=(0.0, ""))
    behind_s = written - SystemClock().now() / MICROSECONDS
    if behind_s <= BACK_S:
        return Finding("clock", "ok", "The clock is not behind what was written here.")
    return Finding(
        "clock",
        "fail",
        f"The clock is {behind_s:.0f} s behind the time at which {name} was written.",
        "Set it right: nothing new begins before it gets there.",
    )


def _listener(settings: Settings) -> Finding:
    address = settings.http.listens_at
    if not address.loopback and not settings.http.tls:
        return Finding(
            "listener", "warn", f"{address} is plain HTTP for other machines.", "Set http.tls_certificate and tls_key."
        )
    try:
        with socket.create_connection((address.host, address.port or 1), timeout=1):
            return Finding("listener", "ok", f"Something answers at {address}.")
    except OSError:
        return Finding("listener", "ok", f"{address} is free; start it with loglease serve.")


def _sources_and_policy(settings: Settings, library: redaction.Library) -> list[Finding]:
    try:
        configurations = source_configurations(settings)
    except SettingsInvalid as error:
        return [
            Finding("sources", "fail", f"{fault.pointer}: {fault.detail}", error.next_step) for fault in error.faults
        ]
    found = [_source(one, settings) for one in configurations]
    known = Sources(source_of(one, "", _Nobody()) for one in configurations)  # type: ignore[arg-type]
    return [*found, *_policy(settings, known, library)]


def _policy(settings: Settings, sources: Sources, library: redaction.Library) -> list[Finding]:
    """Check the policy as a start would, but for the revisions that the database knows."""
    try:
        found = candidate(settings, sources)
        if found.manifest is not None:
            require_timely(found.manifest, NOTHING_KNOWN, SystemClock().now())
        rules = rules_from(found, settings, sources, library, NOTHING_KNOWN)
    except LogLeaseError as error:
        faults = [Finding("policy", "fail", f"{one.pointer}: {one.detail}", error.next_step) for one in error.faults]
        return faults or [Finding("policy", "fail", error.message, error.next_step)]
    own = policy_directory(settings)
    count = len(rules.bundle.policies)
    detail = f"{count} {'policy' if count == 1 else 'policies'} from {own or 'the default that ships'}."
    if found.kept:
        detail = f"{detail[:-1]}; a managed policy only begins with them, and is looked at when the server starts."
    if found.manifest is not None:
        detail = f"{detail[:-1]}, revision {rules.revision}, signed by {', '.join(found.people)}."
    return [Finding("policy", "ok", detail)]


def _source(one: SourceConfig, settings: Settings) -> Finding:
    if not isinstance(one, FileSourceConfig):
        health = asyncio.run(_health(one))
        grade: Grade = "ok" if health.ok else "warn"
        return Finding("source", grade, f"{one.name}: {health.detail}", f"Check {one.upstream.address} and its log.")
    missing = sorted({str(watch.root) for watch in one.watches if not watch.root.is_dir()} - {str(inbox_of(settings))})
    if missing:
        detail = f"{one.name}: {', '.join(missing)} is no directory."
        return Finding("source", "warn", detail, "Correct the path, or make the directory.")
    return Finding("source", "ok", f"{one.name}: {len(one.watches)} {'watch' if len(one.watches) == 1 else 'watches'}.")


def _facts(settings: Settings) -> list[Finding]:
    try:
        configurations = provider_configurations(settings)
    except SettingsInvalid as error:
        return [Finding("facts", "fail", f"{one.pointer}: {one.detail}", error.next_step) for one in error.faults]
    return [_provider(one) for one in configurations]


def _provider(configuration: ProviderConfig) -> Finding:
    health = asyncio.run(_probed(configuration))
    grade: Grade = "ok" if health.ok else "warn"
    return Finding("facts", grade, f"{configuration.name}: {health.detail}", "Check what it reads, and its address.")


async def _probed(configuration: ProviderConfig) -> Health:
    provider = opened(configuration, _nobody_known, SystemClock())
    try:
        return await provider.probe()
    finally:
        await provider.aclose()


async def _nobody_known(_issuer: str, _account: str) -> None:
    """Know nobody: a probe asks about no one."""


async def _health(configuration: RemoteConfig) -> Health:
    _, reader = remote_reader(configuration, SystemClock())
    try:
        return await reader.check()
    finally:
        await reader.aclose()


class _Nobody:
    """A reader that is never read: policy is checked against the names of sources only."""

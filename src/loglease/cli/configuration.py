"""Where commands get their settings: flags beat variables, which beat the context of the file, which beats defaults."""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from loglease.cli.errors import ConfigurationInvalid
from loglease.model.errors import DurationInvalid
from loglease.model.instant import parse_duration

DEFAULT_SERVER: Final = "http://127.0.0.1:8080"
DEFAULT_TIMEOUT_S: Final = 30
MAX_TIMEOUT_S: Final = 600
_FILE_KEYS: Final = ("context", "contexts")
_CONTEXT_KEYS: Final = ("server", "ca_file", "output", "source", "duration", "insecure_http")


class OutputForm(StrEnum):
    """For people or for programs; Markdown for people who review a change, where a command has it."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


class Color(StrEnum):
    """Whether output is coloured; `auto` colours terminals only."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line says; None leaves it to the variables and the file."""

    output: OutputForm | None = None
    color: Color = Color.AUTO
    server: str | None = None
    context: str | None = None
    config: Path | None = None
    yes: bool = False
    no_input: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that one call goes by.

    Attributes:
        context: name of the context; tokens are kept by it and by the server.
        token: a token from the environment; beats every stored one, as does `token_file`.
        state_dir: where tokens go if no keyring works.
        duration_s: for how long to ask if no flag says so.
    """

    context: str
    server: str
    output: OutputForm
    color: Color
    yes: bool
    no_input: bool
    timeout_s: int
    state_dir: Path
    ca_file: Path | None = None
    source: str | None = None
    duration_s: int | None = None
    token: str | None = None
    token_file: Path | None = None


def settings_from(flags: Flags, environment: Mapping[str, str]) -> Settings:
    """Return the settings of this call.

    Raises:
        ConfigurationInvalid: the file is unreadable, has an unknown key or a wrong value; or a variable has.
    """
    values = {name.removeprefix("LOGLEASE_"): text for name, text in environment.items() if text}
    path = flags.config or (Path(values["CONFIG"]) if "CONFIG" in values else None)
    whole = _read(path, environment)
    name, context = _chosen(whole, flags.context or values.get("CONTEXT"))
    server = _server(
        flags.server or values.get("SERVER") or context.get("server") or DEFAULT_SERVER,
        insecure=bool(context.get("insecure_http")),
    )
    ca_file = values.get("CA_FILE") or context.get("ca_file")
    token_file = values.get("TOKEN_FILE")
    return Settings(
        context=name,
        server=server,
        output=flags.output or _output(values.get("OUTPUT") or context.get("output") or "table"),
        color=Color.NEVER if flags.color is Color.AUTO and environment.get("NO_COLOR") else flags.color,
        yes=flags.yes,
        no_input=flags.no_input or values.get("NO_INPUT", "0") not in ("0", "false"),
        timeout_s=_timeout(values.get("TIMEOUT")),
        state_dir=_base(environment, "XDG_STATE_HOME", ".local/state"),
        ca_file=None if ca_file is None else Path(ca_file).expanduser(),
        source=context.get("source"),
        duration_s=_duration(context.get("duration")),
        token=values.get("TOKEN"),
        token_file=None if token_file is None else Path(token_file).expanduser(),
    )


def _base(environment: Mapping[str, str], variable: str, default: str) -> Path:
    base = environment.get(variable) or str(Path(environment.get("HOME") or "~").expanduser() / default)
    return Path(base) / "loglease"


def _read(path: Path | None, environment: Mapping[str, str]) -> dict[str, Any]:
    file = path or _base(environment, "XDG_CONFIG_HOME", ".config") / "config.toml"
    try:
        whole = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if path is None:
            return {}
        raise ConfigurationInvalid(f"There is no file {file}.", next_step="Check --config.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(f"{file} cannot be read.", next_step="Check its mode and encoding.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid(f"{file} is not TOML: {error}.", next_step="Correct the line it names.") from error
    _only(whole, _FILE_KEYS, str(file))
    contexts = whole.get("contexts", {})
    if not isinstance(contexts, dict) or not all(isinstance(one, dict) for one in contexts.values()):
        raise ConfigurationInvalid(f"contexts of {file} are no tables.", next_step="Write [contexts.prod].")
    for name, context in contexts.items():
        _only(context, _CONTEXT_KEYS, f"context {name} of {file}")
        _typed(context, f"context {name} of {file}")
    return whole


def _only(table: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            remedy = f"Did you mean {close[0]}?" if close else f"Known keys: {', '.join(known)}."
            raise ConfigurationInvalid(f"{key!r} in {place} is not known.", next_step=remedy)


def _typed(context: Mapping[str, Any], place: str) -> None:
    for key, value in context.items():
        wanted = bool if key == "insecure_http" else str
        if not isinstance(value, wanted):
            form = "true or false" if wanted is bool else "a text in quotes"
            raise ConfigurationInvalid(f"{key} in {place} has a wrong type.", next_step=f"Write {form}.")


def _chosen(whole: Mapping[str, Any], wanted: str | None) -> tuple[str, dict[str, Any]]:
    contexts: dict[str, dict[str, Any]] = whole.get("contexts", {})
    name = wanted or whole.get("context") or "default"
    if not isinstance(name, str):
        raise ConfigurationInvalid("context is no text.", next_step='Write context = "prod".')
    if name in contexts:
        return name, contexts[name]
    if wanted is None and name == "default":
        return name, {}
    known = ", ".join(sorted(contexts)) or "none"
    raise ConfigurationInvalid(f"There is no context {name!r}.", next_step=f"Contexts in the file: {known}.")


def _server(text: str, *, insecure: bool) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username is not None:
        raise ConfigurationInvalid(
            f"{text[:80]!r} is no server address.", next_step="Write it like https://logs.example.com."
        )
    if parts.scheme == "http" and not insecure and not is_loopback(parts.hostname):
        raise ConfigurationInvalid(
            f"{text[:80]} would carry passwords and tokens in the clear.",
            next_step="Use https://, or set insecure_http = true in a context of the configuration file.",
        )
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    """Say whether a host name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _output(text: str) -> OutputForm:
    if text not in (OutputForm.TABLE, OutputForm.JSON):
        raise ConfigurationInvalid(f"{text!r} is no form of output.", next_step="Choose table or json.")
    return OutputForm(text)


def _timeout(text: str | None) -> int:
    if text is None:
        return DEFAULT_TIMEOUT_S
    if not text.isdecimal() or not 0 < int(text) <= MAX_TIMEOUT_S:
        raise ConfigurationInvalid(
            f"LOGLEASE_TIMEOUT is {text[:20]!r}.", next_step=f"Write whole seconds, 1 to {MAX_TIMEOUT_S}."
        )
    return int(text)


def _duration(text: str | None) -> int | None:
    try:
        return None if text is None else parse_duration(text)
    except DurationInvalid as error:
        raise ConfigurationInvalid(f"duration: {error.message}", next_step=error.next_step) from error

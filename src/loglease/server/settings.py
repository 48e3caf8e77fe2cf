"""Settings: one TOML file, ``LOGLEASE_*`` variables, typed. All mistakes come together, each with its remedy.

With no configuration at all everything has a value: one data directory, loopback addresses, the policy and the
redaction profile that ship, and a file source that reads what is put into ``logs`` in the data directory.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from loglease.model.errors import FieldFault, LogLeaseError
from loglease.policy.manifest import is_key
from loglease.server.database_settings import DatabaseSettings
from loglease.server.notifications.settings import NotificationSettings
from loglease.server.proxies import ELSEWHERE, network_named
from loglease.server.retention import retention_s
from loglease.server.sink_settings import SinkName, SinkSettings

FILE_NAME: Final = "loglease.toml"
PREFIX: Final = "LOGLEASE_"
_CLIENT_VARIABLES: Final = frozenset(
    {"SERVER", "CONTEXT", "CONFIG", "TOKEN", "TOKEN_FILE", "OUTPUT", "NO_INPUT", "CA_FILE", "TIMEOUT", "CHROMIUM"}
)
_MAX_PORT: Final = 65_535
_ORIGIN: Final = re.compile(r"(?=.{3,200}$)(?!/)(?:(?!://)[!-*,-~])+/[1-9][0-9]*")
_NETWORK: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class SettingsInvalid(LogLeaseError):
    """The configuration has mistakes; `faults` has them all."""

    code = "invalid_field"


class _Area(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to listen on; port 0 takes a free one."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(text: str) -> Address:
    """Read ``host:port`` or ``[v6]:port``.

    Raises:
        ValueError: another form.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > _MAX_PORT:
        raise ValueError(f"{text[:60]!r} is not host:port, such as 127.0.0.1:8080")
    return Address(host, int(port))


def _require_networks(texts: Sequence[str]) -> None:
    for one in texts:
        try:
            network_named(one)
        except ValueError as error:
            raise ValueError(f"{one[:80]!r} is no address or network such as 10.0.0.0/8") from error


class HttpSettings(_Area):
    """Where the server listens, what it serves there, and which origins its pages and WebSockets have."""

    listen: str = "127.0.0.1:8080"
    health: str = "127.0.0.1:8081"
    origins: list[str] = Field(default_factory=list)
    websocket_origins: list[str] = Field(default_factory=list)
    trusted_proxies: list[str] = Field(default_factory=list)
    insecure_http: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    drain_s: Annotated[int, Field(ge=1, le=30)] = 10
    serve: Literal["all", "control", "gateway"] = "all"

    @field_validator("listen", "health")
    @classmethod
    def _addresses(cls, text: str) -> str:
        address_of(text)
        return text

    @field_validator("origins", "websocket_origins")
    @classmethod
    def _origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            scheme, separator, rest = origin.partition("://")
            if scheme not in ("http", "https") or not separator or not rest or "/" in rest:
                raise ValueError(f"{origin[:80]!r} is not an origin such as https://logs.example.com")
        return origins

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, proxies: list[str]) -> list[str]:
        _require_networks(proxies)
        return proxies

    @model_validator(mode="after")
    def _safe(self) -> HttpSettings:
        if (self.tls_certificate is None) is not (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        if not self.listens_at.loopback and self.tls_certificate is None and not self.insecure_http:
            raise ValueError(
                f"{self.listen} can be reached from other machines and has no TLS; set tls_certificate and tls_key, "
                "listen on 127.0.0.1, or accept plain HTTP with --insecure-http"
            )
        return self

    @property
    def listens_at(self) -> Address:
        """Address of pages, API and gateway."""
        return address_of(self.listen)

    @property
    def health_at(self) -> Address:
        """Address of the health listener."""
        return address_of(self.health)

    @property
    def tls(self) -> bool:
        """Whether we end TLS ourselves."""
        return self.tls_certificate is not None


class IdentitySettings(_Area):
    """The cost of a password check; smaller only in tests."""

    argon2_memory_kib: Annotated[int, Field(ge=8, le=1 << 22)] = 65_536
    argon2_passes: Annotated[int, Field(ge=1, le=16)] = 3
    argon2_lanes: Annotated[int, Field(ge=1, le=16)] = 4


class LimitSettings(_Area):
    """Rates per process; they act before parsing and before a credential is looked at."""

    enforced: bool = True
    address_per_s: Annotated[float, Field(gt=0)] = 20.0
    address_burst: Annotated[int, Field(ge=1)] = 40
    principal_per_s: Annotated[float, Field(gt=0)] = 10.0
    principal_burst: Annotated[int, Field(ge=1)] = 30
    connections: Annotated[int, Field(ge=16)] | None = None
    connections_per_address: Annotated[int, Field(ge=1)] = 200
    principal_sessions: Annotated[int, Field(ge=1)] = 20
    principal_tails: Annotated[int, Field(ge=1)] = 10
    failed_sign_ins_per_min: Annotated[int, Field(ge=1)] = 10
    submissions_per_h: Annotated[int, Field(ge=1)] = 30
    machine_submissions_per_h: Annotated[int, Field(ge=1)] = 10


class PolicySettings(_Area):
    """Where policy documents are, and who has to have signed them or agreed to them.

    Without `directory` it is ``policy`` of the data directory; where that is not there, and nothing has to be signed,
    the policy that ships. `keys` holds public keys by person; `needed` is how many persons have to sign.

    A managed policy lives in the database and is changed by proposals; documents of a directory are only what it begins
    with.
    """

    directory: Path | None = None
    trust: Literal["local", "managed", "signed"] = "local"
    keys: dict[str, list[str]] = Field(default_factory=dict)
    needed: Annotated[int, Field(ge=1)] = 1

    @field_validator("keys")
    @classmethod
    def _keys(cls, keys: dict[str, list[str]]) -> dict[str, list[str]]:
        given = [key for some in keys.values() for key in some]
        for key in given:
            if not is_key(key):
                raise ValueError(f"{key[:80]!r} is no public key; loglease policy key FILE makes and prints one")
        if len(set(given)) < len(given):
            raise ValueError("the same key stands there twice; each person has keys of their own")
        return keys

    @model_validator(mode="after")
    def _signable(self) -> PolicySettings:
        people = sum(bool(keys) for keys in self.keys.values())
        if self.trust == "signed" and self.needed > people:
            raise ValueError(f"needed is {self.needed}, and {people} persons have keys")
        if self.trust != "signed" and self.keys:
            raise ValueError('keys are used by trust = "signed" alone')
        return self


class FactSettings(_Area):
    """Providers of facts by name. Each is checked by the kind that it names."""

    providers: dict[str, dict[str, Any]] = Field(default_factory=dict)


class AuditSettings(_Area):
    """What the audit log is called and signed with, and when a record counts."""

    origin: str | None = None
    key_file: Path | None = None
    ack: Literal["durable", "published", "witnessed"] = "durable"
    self_check_s: Annotated[int, Field(ge=60)] = 86_400
    witness_policy: Path | None = None
    witness_private_network: bool = False
    sinks: dict[SinkName, SinkSettings] = Field(default_factory=dict)
    retain: str = "forever"

    @property
    def retain_s(self) -> int | None:
        """How long entries have to be kept, in seconds; None is for ever."""
        return retention_s(self.retain)

    @field_validator("retain")
    @classmethod
    def _retain(cls, retain: str) -> str:
        retention_s(retain)
        return retain

    @field_validator("origin")
    @classmethod
    def _origin(cls, origin: str | None) -> str | None:
        if origin is not None and not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"{origin[:80]!r} is no name of a log such as logs.example.com/loglease/1: no scheme, space or plus "
                "sign, and a generation number at the end"
            )
        return origin

    @model_validator(mode="after")
    def _witnessed(self) -> AuditSettings:
        if self.ack == "witnessed" and self.witness_policy is None:
            raise ValueError('ack = "witnessed" needs witness_policy, a file that says who the witnesses are')
        return self


class ScanSettings(_Area):
    """What one query may look at, before its filters: permitted lines, their redacted bytes, and how long."""

    lines: Annotated[int, Field(ge=1)] = 2_000_000
    bytes: Annotated[int, Field(ge=1)] = 1 << 30
    seconds: Annotated[float, Field(gt=0)] = 60.0


class LokiSettings(_Area):
    """How Loki's API answers: whether statistics are true, and whether answers are compressed."""

    gzip: bool = True
    index_stats: Literal["zeros", "exact"] = "zeros"


class RedactionSettings(_Area):
    """What redacts, how many threads do, how long a chunk may take, and where rules of one's own are."""

    engine: Literal["auto", "native", "hyperscan", "re2", "python"] = "auto"
    deadline_s: Annotated[float, Field(ge=0.1, le=60)] = 2.0
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    rules_dir: Path | None = None


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """Return the data directory of somebody who configured nothing."""
    if base := environment.get("XDG_DATA_HOME"):
        return Path(base) / "loglease"
    return Path(environment.get("HOME", "~")).expanduser() / ".local" / "share" / "loglease"


class Settings(BaseSettings):
    """All settings of one process. Sources are checked by the reader they name."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )
    areas: ClassVar[frozenset[str]] = frozenset(
        (
            "AUDIT",
            "DATABASE",
            "FACTS",
            "HTTP",
            "IDENTITY",
            "LIMITS",
            "LOKI",
            "NETWORKS",
            "NOTIFICATIONS",
            "POLICY",
            "REDACTION",
            "SCAN",
            "SOURCES",
        )
    )

    data_dir: Path
    audit: AuditSettings = Field(default_factory=AuditSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    facts: FactSettings = Field(default_factory=FactSettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    identity: IdentitySettings = Field(default_factory=IdentitySettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    loki: LokiSettings = Field(default_factory=LokiSettings)
    networks: dict[str, list[str]] = Field(default_factory=dict)
    notifications: NotificationSettings = Field(default_factory=NotificationSettings)
    plugins: list[str] = Field(default_factory=list)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    redaction: RedactionSettings = Field(default_factory=RedactionSettings)
    scan: ScanSettings = Field(default_factory=ScanSettings)
    sources: dict[str, dict[str, Any]] = Field(default_factory=dict)
    _again: Callable[[], Settings] | None = PrivateAttr(default=None)

    def reread(self) -> Settings:
        """Read the same file, variables and flags again; settings that no file was read for stay as they are.

        Raises:
            SettingsInvalid: with one fault for each mistake.
        """
        return self if self._again is None else self._again()

    @property
    def keys_at(self) -> Path:
        """Where the keys are that all servers on one database share."""
        return self.database.keys_dir or self.data_dir

    def with_facts_of(self, other: Settings) -> Settings:
        """Return these settings with the providers of facts of others: the one area that is read again."""
        return self.model_copy(update={"facts": other.facts})

    @field_validator("networks")
    @classmethod
    def _networks(cls, networks: dict[str, list[str]]) -> dict[str, list[str]]:
        for name, held in networks.items():
            if not _NETWORK.fullmatch(name) or name == ELSEWHERE:
                raise ValueError(
                    f"{name[:80]!r} is no name of a network: 1 to 63 of a-z, 0-9, - and _, first a letter, "
                    f"and not {ELSEWHERE}, which means all others"
                )
            if not held:
                raise ValueError(f"{name} has no network such as 10.0.0.0/8")
            _require_networks(held)
        return networks

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what `load_settings` has put together; it reads the variables itself, below flags."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def load_settings(
    *,
    config: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings: flags (`overrides`) beat variables, which beat the file, which beats the defaults.

    Args:
        config: the file; None takes ``loglease.toml`` of the data directory if it is there.
        overrides: nested values from the command line, such as ``{"http": {"listen": "127.0.0.1:0"}}``.
        environment: for the data directory only; the variables of settings are those of the process.

    Raises:
        SettingsInvalid: with one fault for each mistake.
    """
    environment = os.environ if environment is None else environment
    given = dict(overrides or {})
    said = given.get("data_dir") or environment.get(f"{PREFIX}DATA_DIR")
    values = _file_values(config, Path(said or default_data_dir(environment)).expanduser())
    faults = _unknown_variables(environment)
    named = _data_dir_of(values, config, faults)
    data_dir = Path(said or named or default_data_dir(environment))
    values = _merged(_merged(values, EnvSettingsSource(Settings)()), given)
    values["data_dir"] = str(data_dir.expanduser().absolute())
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise _with_mistakes([*faults, *(_fault(one) for one in error.errors(include_url=False))]) from error
    if faults:
        raise _with_mistakes(faults)
    settings._again = partial(load_settings, config=config, overrides=overrides, environment=environment)  # noqa: SLF001 - no setting
    return settings


def _with_mistakes(faults: Sequence[FieldFault]) -> SettingsInvalid:
    return SettingsInvalid(
        f"The configuration has {len(faults)} mistake{'s' * (len(faults) != 1)}.",
        next_step="Correct them: docs/reference/configuration.md has every setting.",
        faults=tuple(faults),
    )


def _file_values(config: Path | None, data_dir: Path) -> dict[str, Any]:
    path = config or data_dir / FILE_NAME
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        if config is None:
            return {}
        raise SettingsInvalid(f"There is no file {path}.", next_step="Check the path given to --config.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path} cannot be read.", next_step="Check its mode and encoding.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path} is not TOML: {error}.", next_step="Correct the line it names.") from error


def _data_dir_of(values: Mapping[str, Any], config: Path | None, faults: list[FieldFault]) -> str | None:
    """Return the data directory that a file names; one that lies in a data directory cannot name another."""
    named = values.get("data_dir")
    if named is None:
        return None
    if config is None:
        faults.append(
            FieldFault(
                "data_dir", "not_here", f"{FILE_NAME} is looked for in the data directory; use --config or a flag."
            )
        )
        return None
    if not isinstance(named, str) or not named:
        faults.append(FieldFault("data_dir", "wrong_type", "It is no path in quotes."))
        return None
    return named


def _unknown_variables(environment: Mapping[str, str]) -> list[FieldFault]:
    """Refuse misspelt variables: one that does nothing is worse than none."""
    faults = []
    for name in environment:
        rest = name.removeprefix(PREFIX)
        if not name.startswith(PREFIX) or rest in _CLIENT_VARIABLES or rest == "DATA_DIR":
            continue
        area, separator, _ = rest.partition("__")
        if not separator or area not in Settings.areas:
            faults.append(FieldFault(name, "unknown_variable", "This is no setting; areas are separated by two _."))
    return faults


def _merged(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        inner = merged.get(key)
        merged[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return merged


def _fault(error: ErrorDetails) -> FieldFault:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return FieldFault(place, "unknown_field", "This is no setting. Remove it or correct its name.")
    return FieldFault(place, str(error["type"]), f"{error['msg'].removeprefix('Value error, ')}.")

"""Settings of sinks: where signed heads of the audit log are kept besides. No call changes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from loglease.audit.sinks.delivery import MAX_LAG_S
from loglease.audit.sinks.repository import is_ref_name
from loglease.audit.sinks.syslog import PORT

SinkName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
_FIELDS: Final = {
    "file": {"path"},
    "git": {"path", "branch", "remote"},
    "syslog": {"host", "port", "ca_file", "certificate", "key"},
}
_COMMON: Final = {"kind", "required", "max_lag_s"}


class SinkSettings(BaseModel):
    """One sink. With `required`, a head that waits longer than `max_lag_s` stops all that needs a record."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["file", "git", "syslog"]
    required: bool = False
    max_lag_s: Annotated[int, Field(ge=10)] = MAX_LAG_S
    path: Path | None = None
    branch: str = "audit-heads"
    remote: str | None = None
    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65_535)] = PORT
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @field_validator("branch", "remote")
    @classmethod
    def _names(cls, name: str | None) -> str | None:
        if name is not None and not is_ref_name(name):
            raise ValueError(f"{name[:80]!r} is no plain name of a branch or remote")
        return name

    @model_validator(mode="after")
    def _whole(self) -> SinkSettings:
        if (self.host if self.kind == "syslog" else self.path) is None:
            raise ValueError(f"a sink of the kind {self.kind} has a {'host' if self.kind == 'syslog' else 'path'}")
        others = self.model_fields_set - _FIELDS[self.kind] - _COMMON
        if others:
            raise ValueError(f"{', '.join(sorted(others))}: not for a sink of the kind {self.kind}")
        if (self.certificate is None) is not (self.key is None):
            raise ValueError("certificate and key belong together")
        return self

"""Settings of notifications: the mail server, the channels that policies name, and who looks after the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loglease.model.notice import EMAIL

_STRICT: Final = ConfigDict(extra="forbid", frozen=True)
_ADDRESS: Final = r"^[^@\s<>,;:\"]{1,64}@[A-Za-z0-9.-]{1,255}$"


class MailSettings(BaseModel):
    """The mail server that people are written to through; the password is a file that only the server's user reads."""

    model_config = _STRICT

    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    security: Literal["tls", "starttls", "none"] = "starttls"
    sender: Annotated[str, Field(pattern=_ADDRESS)]
    user: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _together(self) -> MailSettings:
        if (self.user is None) is not (self.password_file is None):
            raise ValueError("user and password_file belong together")
        if self.user is not None and self.security == "none":
            raise ValueError("a password is not sent without TLS; set security to tls or starttls")
        return self


class ChannelSettings(BaseModel):
    """A channel that policies name: a webhook, or addresses that are written to."""

    model_config = _STRICT

    kind: Literal["webhook", "email"]
    events: list[str] = Field(default_factory=list)
    url: str | None = None
    secret_file: Path | None = None
    private_network: bool = False
    ca_file: Path | None = None
    to: list[Annotated[str, Field(pattern=_ADDRESS)]] = Field(default_factory=list, max_length=20)

    @model_validator(mode="after")
    def _whole(self) -> ChannelSettings:
        webhook = self.kind == "webhook"
        if webhook is not (self.url is not None and self.secret_file is not None) or webhook is bool(self.to):
            raise ValueError("a webhook has url and secret_file, a channel of the kind email has addresses in to")
        if not webhook and (self.url or self.secret_file or self.private_network or self.ca_file):
            raise ValueError("url, secret_file, private_network and ca_file are for webhooks")
        if self.url is not None:
            self._check_url(self.url)
        return self

    def _check_url(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.fragment:
            raise ValueError(f"{url[:80]!r} is no address such as https://hooks.example.com/loglease")
        if parts.scheme == "http" and not self.private_network:
            raise ValueError("http is for receivers inside alone; use https, or set private_network")


class NotificationSettings(BaseModel):
    """Whom the server tells what happened, and how. Without any, people look at their pages."""

    model_config = _STRICT

    email: MailSettings | None = None
    channels: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,62}$")], ChannelSettings] = Field(
        default_factory=dict
    )
    operators: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _possible(self) -> NotificationSettings:
        if EMAIL in self.channels:
            raise ValueError("no channel is called email: that is how people are reached")
        if self.email is None and any(one.kind == EMAIL for one in self.channels.values()):
            raise ValueError("a channel of the kind email needs notifications.email, the mail server")
        for name in self.operators:
            kind, _, rest = name.partition(":")
            if kind not in ("channel", "group", "user") or not rest:
                raise ValueError(f"{name[:80]!r} is no channel:, group: or user: with a name")
            if kind == "channel" and rest not in self.channels:
                raise ValueError(f"{name[:80]!r} is no configured channel")
        return self

"""Settings of the database, and of the keys that all servers on it share."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator


class DatabaseSettings(BaseModel):
    """Where everything is kept; without a URL, in a file of the data directory. Keys are those of all its servers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr | None = None
    keys_dir: Path | None = None

    @field_validator("url")
    @classmethod
    def _postgres(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("it is no URL such as postgresql://loglease@db.example.com/loglease")
        return url

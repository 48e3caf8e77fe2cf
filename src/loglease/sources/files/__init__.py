"""The embedded file source: watches log files, keeps their lines in segments, reads them back in order of time."""

from loglease.sources.files.configuration import (
    FileSourceConfig,
    Retention,
    Watch,
    file_source_config,
    validated,
)
from loglease.sources.files.source import FileSource

__all__ = ["FileSource", "FileSourceConfig", "Retention", "Watch", "file_source_config", "validated"]

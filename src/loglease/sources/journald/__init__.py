"""The systemd journal as a source, through systemd-journal-gatewayd."""

from loglease.sources.journald.configuration import JournaldConfig, journald_config
from loglease.sources.journald.reader import JournaldReader

__all__ = ["JournaldConfig", "JournaldReader", "journald_config"]

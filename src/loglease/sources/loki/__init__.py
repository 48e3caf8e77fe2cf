"""Loki as a source."""

from loglease.sources.loki.configuration import LokiConfig, loki_config
from loglease.sources.loki.reader import LokiReader

__all__ = ["LokiConfig", "LokiReader", "loki_config"]

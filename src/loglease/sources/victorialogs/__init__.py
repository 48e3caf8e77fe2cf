"""VictoriaLogs as a source."""

from loglease.sources.victorialogs.configuration import VictoriaLogsConfig, victorialogs_config
from loglease.sources.victorialogs.reader import VictoriaLogsReader

__all__ = ["VictoriaLogsConfig", "VictoriaLogsReader", "victorialogs_config"]

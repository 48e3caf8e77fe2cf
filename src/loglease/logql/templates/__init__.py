"""Templates of ``line_format`` and ``label_format``: the part of Go's template language that can do no harm.

Public: `parse_template` (reading), `Template` (evaluation), `TemplateFailed` (what evaluation raises).
"""

from loglease.logql.templates.evaluation import Surroundings, Template
from loglease.logql.templates.parser import parse_template
from loglease.logql.templates.values import TemplateFailed

__all__ = ["Surroundings", "Template", "TemplateFailed", "parse_template"]

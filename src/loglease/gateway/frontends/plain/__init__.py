"""The plain endpoint ``/logs``: lines and numbers for curl, our command line and the viewer."""

from loglease.gateway.frontends.plain.numbers import numbers_question
from loglease.gateway.frontends.plain.question import plain_question

__all__ = ["numbers_question", "plain_question"]

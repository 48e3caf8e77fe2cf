"""Which labels a template can read."""

from __future__ import annotations

from collections.abc import Iterator

from loglease.logql.templates.nodes import Action, Dot, If, Node, Parenthesised, Pipeline, Range, Variable


def fields_read(nodes: tuple[Node, ...], *, dot_is_labels: bool = True) -> Iterator[str | None]:
    """Yield the names of labels that nodes can read, None where they can read any.

    Args:
        nodes: of a template.
        dot_is_labels: whether the dot stands for all labels, rather than for what a ``with`` or ``range`` took.
    """
    for node in nodes:
        match node:
            case Action(pipeline):
                yield from _of_pipeline(pipeline, dot_is_labels=dot_is_labels)
            case If(pipeline, body, otherwise) | Range(pipeline, body, otherwise):
                moves_dot = isinstance(node, Range) or node.moves_dot
                yield from _of_pipeline(pipeline, dot_is_labels=dot_is_labels)
                yield from fields_read(body, dot_is_labels=dot_is_labels and not moves_dot)
                yield from fields_read(otherwise, dot_is_labels=dot_is_labels)


def _of_pipeline(pipeline: Pipeline, *, dot_is_labels: bool) -> Iterator[str | None]:
    for command in pipeline.commands:
        for operand in command.operands:
            match operand:
                case Dot(fields) if fields or dot_is_labels:
                    yield fields[0] if fields else None
                case Variable("", fields):
                    yield fields[0] if fields else None
                case Parenthesised(inner):
                    yield from _of_pipeline(inner, dot_is_labels=dot_is_labels)

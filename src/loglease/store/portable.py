"""What databases spell differently: texts inside of documents, and long lists of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, ColumnElement, Text, cast, column, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction


class _ListIn(GenericFunction[str]):
    type = Text()
    inherit_cache = True


class _Elements(GenericFunction[str]):
    inherit_cache = True


def list_in(document: Column[str], first: str, second: str, *others: str) -> ColumnElement[str]:
    """Return what a JSON document in a column holds at some dotted paths, as a list in JSON; null where is nothing."""
    return _ListIn(document, *map(literal_column, (first, second, *others)))


def listed(numbers: Sequence[int]) -> ColumnElement[int]:
    """Return a column that has these numbers, in their order; they are one parameter, however many there are."""
    elements = _Elements(orjson.dumps(numbers).decode()).table_valued(column("value", Text))
    return cast(elements.c.value, BigInteger)


@compiles(_ListIn, "sqlite")
def _list_in_sqlite(element: _ListIn, compiler: SQLCompiler, **kw: Any) -> str:
    document, *paths = element.clauses
    named = ", ".join(f"'$.{path}'" for path in paths)
    return f"json_extract({compiler.process(document, **kw)}, {named})"


@compiles(_ListIn, "postgresql")
def _list_in_postgres(element: _ListIn, compiler: SQLCompiler, **kw: Any) -> str:
    document, *paths = element.clauses
    parts = ", ".join(f"parsed.doc #> '{{{str(path).replace('.', ',')}}}'" for path in paths)
    # OFFSET keeps the document from being parsed once for each path.
    parsed = f"SELECT CAST({compiler.process(document, **kw)} AS jsonb) AS doc OFFSET 0"
    return f"(SELECT CAST(jsonb_build_array({parts}) AS text) FROM ({parsed}) AS parsed)"  # noqa: S608 - ours


@compiles(_Elements, "sqlite")
def _elements_sqlite(element: _Elements, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_Elements, "postgresql")
def _elements_postgres(element: _Elements, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **kw)} AS json))"

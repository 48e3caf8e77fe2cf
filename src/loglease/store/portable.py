"""What databases spell differently: texts inside of documents, and long lists of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, ColumnElement, Text, cast, column, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction


class _TextIn(GenericFunction[str]):
    type = Text()
    inherit_cache = True


class _Elements(GenericFunction[str]):
    inherit_cache = True


def text_in(document: Column[str], path: str) -> ColumnElement[str]:
    """Return what a JSON document in a column holds at a dotted path, as text; JSON where it is a list or an object."""
    return _TextIn(document, literal_column(path))


def listed(numbers: Sequence[int]) -> ColumnElement[int]:
    """Return a column that has these numbers, in their order; they are one parameter, however many there are."""
    elements = _Elements(orjson.dumps(numbers).decode()).table_valued(column("value", Text))
    return cast(elements.c.value, BigInteger)


@compiles(_TextIn, "sqlite")
def _text_in_sqlite(element: _TextIn, compiler: SQLCompiler, **kw: Any) -> str:
    document, path = element.clauses
    return f"json_extract({compiler.process(document, **kw)}, '$.{path}')"


@compiles(_TextIn, "postgresql")
def _text_in_postgres(element: _TextIn, compiler: SQLCompiler, **kw: Any) -> str:
    document, path = element.clauses
    return f"(CAST({compiler.process(document, **kw)} AS jsonb) #>> '{{{str(path).replace('.', ',')}}}')"


@compiles(_Elements, "sqlite")
def _elements_sqlite(element: _Elements, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_Elements, "postgresql")
def _elements_postgres(element: _Elements, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_array_elements_text(CAST({compiler.process(element.clauses, **kw)} AS json))"

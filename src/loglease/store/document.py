"""Immutable values of the model as JSON documents and back, driven by their type annotations.

Only the forms that the model uses are known: dataclasses, enums of strings, text, numbers, truth values, bytes (as
hex), optional values, tuples, frozen sets (sorted), and mappings with text keys. Everything else fails when a codec is
built, not when a row is written.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, Final, Generic, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson

from loglease.model.errors import LogLeaseError
from loglease.store.errors import DocumentInvalid

Value = TypeVar("Value")
_Pack = Callable[[Any], Any]

_OPTIONAL_PARTS: Final = 2


class Codec(Generic[Value]):
    """Packs values of one dataclass; fields that have columns of their own stay outside the document.

    Args:
        columns: names of the fields that stay outside.
        remembers: how many documents are not read again when their very text comes back. Values of fields never change,
            so that what was read of a text holds for good.
    """

    def __init__(self, cls: type[Value], *, columns: frozenset[str] = frozenset(), remembers: int = 0) -> None:
        self._cls = cls
        self._fields = _field_packs(cls, columns)
        self._read = lru_cache(remembers)(self._parsed) if remembers else self._parsed

    def pack(self, value: Value) -> str:
        """Return the document of a value."""
        return orjson.dumps(_packed_fields(self._fields, value)).decode()

    def unpack(self, document: str, **columns: Any) -> Value:
        """Return the value of a document and its columns.

        Raises:
            DocumentInvalid: the document is not of the form that `pack` writes.
        """
        try:
            return self._cls(**self._read(document), **columns)
        except (TypeError, ValueError, AttributeError, LogLeaseError) as error:
            raise DocumentInvalid(f"A stored {self._cls.__name__} cannot be read: {error}.") from error

    def _parsed(self, document: str) -> dict[str, Any]:
        return _unpacked_fields(self._fields, orjson.loads(document))


@dataclass(frozen=True, slots=True)
class _FieldPack:
    name: str
    pack: _Pack
    unpack: _Pack
    optional: bool


def _field_packs(cls: type, left_out: frozenset[str]) -> tuple[_FieldPack, ...]:
    if not is_dataclass(cls):
        raise TypeError(f"{cls!r} is no dataclass")
    hints = get_type_hints(cls)
    return tuple(
        _FieldPack(field.name, *_packs(hints[field.name]), optional=type(None) in get_args(hints[field.name]))
        for field in fields(cls)
        if field.name not in left_out
    )


def _packed_fields(known: tuple[_FieldPack, ...], value: Any) -> dict[str, Any]:
    items = ((field, getattr(value, field.name)) for field in known)
    return {field.name: field.pack(item) for field, item in items if item is not None}


def _unpacked_fields(known: tuple[_FieldPack, ...], content: dict[str, Any]) -> dict[str, Any]:
    """Read fields by name. None is written as absence; an absent field that is never None has its default."""
    found = {field.name: field.unpack(content[field.name]) for field in known if field.name in content}
    if len(found) != len(content):
        raise TypeError(f"unknown field {min(content.keys() - found.keys())!r}")
    return {field.name: None for field in known if field.optional} | found


@cache
def _packs(hint: Any) -> tuple[_Pack, _Pack]:
    """Return how a value of an annotated type is packed and unpacked."""
    if isinstance(hint, NewType):
        return _packs(hint.__supertype__)
    if hint in (str, int, bool):
        return _same, _checked(hint)
    if hint is bytes:
        return bytes.hex, bytes.fromhex
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _optional_packs(arguments)
    if origin in (tuple, frozenset, Mapping):
        return _collection_packs(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return str, hint
    if is_dataclass(hint) and isinstance(hint, type):
        return _dataclass_packs(hint)
    raise TypeError(f"documents cannot hold {hint!r}")


def _same(value: Any) -> Any:
    return value


def _checked(kind: type) -> _Pack:
    def unpack(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"{value!r} is no {kind.__name__}")
        return value

    return unpack


def _optional_packs(arguments: tuple[Any, ...]) -> tuple[_Pack, _Pack]:
    inner = [argument for argument in arguments if argument is not type(None)]
    if len(inner) != 1 or len(arguments) != _OPTIONAL_PARTS:
        raise TypeError(f"documents cannot hold a choice of {arguments!r}")
    pack, unpack = _packs(inner[0])
    return (
        lambda value: None if value is None else pack(value),
        lambda value: None if value is None else unpack(value),
    )


def _collection_packs(hint: Any) -> tuple[_Pack, _Pack]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Mapping:
        pack, unpack = _packs(arguments[1])
        return (
            lambda value: {key: pack(item) for key, item in value.items()},
            lambda value: types.MappingProxyType({key: unpack(item) for key, item in value.items()}),
        )
    if origin is tuple and arguments[-1] is not Ellipsis:
        parts = [_packs(argument) for argument in arguments]
        return (
            lambda value: [part[0](item) for part, item in zip(parts, value, strict=True)],
            lambda value: tuple(part[1](item) for part, item in zip(parts, value, strict=True)),
        )
    pack, unpack = _packs(arguments[0])
    if origin is frozenset:
        return lambda value: sorted(map(pack, value)), lambda value: frozenset(map(unpack, value))
    return lambda value: list(map(pack, value)), lambda value: tuple(map(unpack, value))


def _dataclass_packs(cls: type) -> tuple[_Pack, _Pack]:
    known = _field_packs(cls, frozenset())
    return (
        lambda value: _packed_fields(known, value),
        lambda content: cls(**_unpacked_fields(known, content)),
    )

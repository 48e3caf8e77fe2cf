"""Triggers: how each database is told what it refuses (`guard_rules`).

They hold no data, so they are no part of the migrations: each start puts back what is missing or different.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection

from loglease.store.guard_rules import RULES, Rule

LOG: Final = ("entries_", "checkpoints_", "seq_head_")
"""How the names of the triggers begin that keep the audit log from being taken back."""

_PREFIX: Final = "guard_"
"""How the names of our functions and triggers begin on PostgreSQL, where others may have theirs."""
_NO_CASCADE: Final = "TRUNCATE"


def _of_sqlite(rule: Rule) -> str:
    condition = f" WHEN {rule.when.replace('IS DISTINCT FROM', 'IS NOT')}" if rule.when else ""
    return f"CREATE TRIGGER {rule.name} BEFORE {rule.on}{condition} BEGIN SELECT RAISE(ABORT, '{rule.text}'); END"


def _of_postgres(rule: Rule) -> str:
    """Return the body of the function; 23514 is what a check constraint answers."""
    refusal = f"RAISE EXCEPTION '{rule.text}' USING ERRCODE = '23514';"
    if not rule.when:
        return f"BEGIN {refusal} END"
    row = "OLD" if rule.on.startswith("DELETE") else "NEW"
    return f"BEGIN IF {rule.when} THEN {refusal} END IF; RETURN {row}; END"


TRIGGERS: Final[Mapping[str, str]] = MappingProxyType({rule.name: _of_sqlite(rule) for rule in RULES})
"""The triggers of SQLite, by name."""


def put_up(connection: Connection) -> None:
    """Make the database's triggers exactly these, inside the transaction that is open on `connection`."""
    _PUT_UP[connection.dialect.name](connection)


def take_down_log(connection: Connection) -> None:
    """Take the triggers of the audit log down, inside the transaction that is open on `connection`."""
    for rule in RULES:
        if rule.name.startswith(LOG):
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql(f'DROP TRIGGER "{rule.name}"')
            elif not rule.replacing:
                connection.exec_driver_sql(f"DROP FUNCTION {_PREFIX}{rule.name}() CASCADE")


def _put_up_on_sqlite(connection: Connection) -> None:
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    found: dict[str, str] = {row.name: row.sql for row in connection.exec_driver_sql(query)}
    for name, sql in found.items():
        if TRIGGERS.get(name) != sql:
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
    for name, sql in TRIGGERS.items():
        if found.get(name) != sql:
            connection.exec_driver_sql(sql)


def _put_up_on_postgres(connection: Connection) -> None:
    # A trigger counts only where it is switched on, and its function has the body that is expected.
    query = (
        "SELECT p.proname AS name, p.prosrc AS body, bool_and(coalesce(t.tgenabled = 'O', false)) AS armed"
        " FROM pg_proc p LEFT JOIN pg_trigger t ON t.tgfoid = p.oid"
        " WHERE p.pronamespace = current_schema()::regnamespace AND starts_with(p.proname, 'guard_')"
        " GROUP BY p.proname, p.prosrc"
    )
    found = {row.name: row.body if row.armed else "" for row in connection.exec_driver_sql(query)}
    wanted = _wanted_on_postgres()
    for name, body in found.items():
        if name not in wanted or wanted[name][1] != body:
            connection.exec_driver_sql(f"DROP FUNCTION {name}() CASCADE")
    for name, (on, body) in wanted.items():
        if found.get(name) != body:
            connection.exec_driver_sql(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $guard${body}$guard$"
            )
            each = "STATEMENT" if on.startswith(_NO_CASCADE) else "ROW"
            connection.exec_driver_sql(f"CREATE TRIGGER {name} BEFORE {on} FOR EACH {each} EXECUTE FUNCTION {name}()")


def _wanted_on_postgres() -> Mapping[str, tuple[str, str]]:
    """Return of each trigger when it fires, and the body of its function."""
    rules = [rule for rule in RULES if not rule.replacing]
    # TRUNCATE fires no DELETE trigger; what is not deleted is not emptied either.
    rules += [
        Rule(rule.name.replace("_kept", "_full"), rule.on.replace("DELETE", _NO_CASCADE), "", rule.text)
        for rule in rules
        if rule.on.startswith("DELETE")
    ]
    return {f"{_PREFIX}{rule.name}": (rule.on, _of_postgres(rule)) for rule in rules}


_PUT_UP: Final[Mapping[str, Callable[[Connection], None]]] = {
    "sqlite": _put_up_on_sqlite,
    "postgresql": _put_up_on_postgres,
}

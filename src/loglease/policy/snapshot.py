"""A directory of people as a file: what `loglease admin user list --output json` prints, read strictly.

With it, documents can be checked against real people without a server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from loglease.model.errors import Malformed
from loglease.model.ids import PersonId, PrincipalId, SubjectId
from loglease.model.principal import EVERYBODY, Directory, Kind, Principal, directory_of
from loglease.policy.problems import Problem, Problems, Severity, did_you_mean, shown
from loglease.policy.tree import Items, Node, Scalar, Table, documents

MAX_SNAPSHOT_BYTES: Final = 256 << 20
_HOW: Final = "Make it with: loglease admin user list --output json"


def read_snapshot(content: bytes) -> Directory:
    """Read a directory.

    Of each entry of `items` the fields `id`, `account`, `kind`, `person`, `groups` and `enabled` are needed, `issuer`
    and `name` are read, others are left alone.

    Raises:
        Malformed: it is not such a file; the error says where.
    """
    if len(content) > MAX_SNAPSHOT_BYTES:
        raise Malformed(f"The directory has more than {MAX_SNAPSHOT_BYTES >> 20} MiB.")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Malformed("The directory is not JSON.", next_step=_HOW) from error
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(items, list):
        raise Malformed("The directory has no list 'items'.", next_step=_HOW)
    people = [_principal(item, number) for number, item in enumerate(items)]
    found = directory_of(people)
    if len(found.principals) != len(people):
        raise Malformed("The directory has two entries with one id.", next_step=_HOW)
    return found


def unknown_groups(files: Mapping[str, bytes], directory: Directory) -> list[Problem]:
    """Warn of groups that Catalogs declare and that nobody of a directory was ever put in.

    Args:
        files: content by path; what cannot be read is left out.
        directory: everybody, disabled accounts among them.
    """
    problems = Problems()
    known = {group for one in directory.principals.values() for group in one.groups} | {EVERYBODY}
    for file in sorted(files):
        for node in documents(file, files[file], Problems()):
            for group in _declared(node):
                if group.text not in known:
                    problems.add(
                        group.at, "P419", f"the directory knows no group {shown(group.text)}, so it means nobody",
                        did_you_mean(group.text, known - {EVERYBODY}), Severity.WARNING,
                    )  # fmt: skip
    return problems.found()


def _declared(node: Node) -> tuple[Scalar, ...]:
    """Return the names of groups in a document, if it is a Catalog."""
    fields = {key.text: value for key, value in node.entries} if isinstance(node, Table) else {}
    kind, names = fields.get("kind"), fields.get("names")
    if not isinstance(kind, Scalar) or kind.text != "Catalog" or not isinstance(names, Table):
        return ()
    groups = next((value for key, value in names.entries if key.text == "groups"), None)
    return tuple(one for one in groups.items if isinstance(one, Scalar)) if isinstance(groups, Items) else ()


def _principal(item: Any, number: int) -> Principal:
    where = f"items[{number}]"
    if not isinstance(item, dict):
        raise Malformed(f"{where} is no entry.", next_step=_HOW)
    groups, enabled = item.get("groups"), item.get("enabled")
    if not isinstance(groups, list) or not all(isinstance(one, str) for one in groups):
        raise Malformed(f"{where}.groups is no list of names.", next_step=_HOW)
    if not isinstance(enabled, bool):
        raise Malformed(f"{where}.enabled is neither true nor false.", next_step=_HOW)
    id_, account = _text(item, "id", where), _text(item, "account", where)
    try:
        kind = Kind(_text(item, "kind", where))
    except ValueError as error:
        raise Malformed(f"{where}.kind is none of {', '.join(Kind)}.", next_step=_HOW) from error
    return Principal(
        id=PrincipalId(id_),
        issuer=str(item.get("issuer", "")),
        account=account,
        kind=kind,
        person=PersonId(_text(item, "person", where)),
        subject=SubjectId(id_),
        name=str(item.get("name", account)),
        groups=frozenset(groups),
        enabled=enabled,
    )


def _text(item: Mapping[str, Any], field: str, where: str) -> str:
    value = item.get(field)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{where}.{field} is no text.", next_step=_HOW)
    return value

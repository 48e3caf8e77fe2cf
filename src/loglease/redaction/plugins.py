"""Plug-ins: code of the operator that rules may name. Nothing of it runs unless it is enabled by name.

A plug-in can only add finds, turn candidates down, and say which values are equal; what it raises never shows text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from types import MappingProxyType
from typing import Any, Final

from loglease.redaction.errors import PluginInvalid, did_you_mean

GROUP: Final = "loglease.plugins"
MAX_VALUE: Final = 8192

Validator = Callable[[bytes], bool]
CanonicalForm = Callable[[bytes], bytes]
Detector = Callable[[bytes], Iterable[tuple[int, int, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One enabled plug-in.

    Attributes:
        digest: SHA-256 over its name, its version and the files of its distribution, in hexadecimal.
    """

    name: str
    version: str
    digest: str
    validators: Mapping[str, Validator] = field(default_factory=dict, hash=False)
    canonical_forms: Mapping[str, CanonicalForm] = field(default_factory=dict, hash=False)
    detectors: Mapping[str, Detector] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.name} {self.version} sha256:{self.digest}"


class Extensions:
    """What the enabled plug-ins offer, by the names that rules use: ``shop.check_digits``."""

    def __init__(self, plugins: Sequence[Plugin] = ()) -> None:
        self.plugins = tuple(plugins)
        self._digests = {one.name: one.digest for one in plugins}
        self.validators = _dotted({one.name: one.validators for one in plugins})
        self.canonical_forms = _dotted({one.name: one.canonical_forms for one in plugins})
        self.detectors = _dotted({one.name: one.detectors for one in plugins})

    def digests_of(self, names: Iterable[str]) -> list[str]:
        """Return the digests of the plug-ins that some names belong to, sorted."""
        return sorted({self._digests[plugin] for one in names if (plugin := one.partition(".")[0]) in self._digests})


def _dotted(offers: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    return MappingProxyType({f"{name}.{key}": one for name, offered in offers.items() for key, one in offered.items()})


NO_EXTENSIONS: Final = Extensions()


def load_plugins(names: Sequence[str], entry_points: Iterable[metadata.EntryPoint] | None = None) -> Extensions:
    """Import plug-ins by name.

    Args:
        names: entry points of the group ``loglease.plugins``; no other is imported.
        entry_points: those to look in; by default those of all installed distributions.

    Raises:
        PluginInvalid: there is none of that name or several, it does not import, or offers something else.
    """
    found = list(metadata.entry_points(group=GROUP) if entry_points is None else entry_points)
    return Extensions([_plugin(name, found) for name in dict.fromkeys(names)])


def _plugin(name: str, entry_points: Sequence[metadata.EntryPoint]) -> Plugin:
    fitting = [one for one in entry_points if one.name == name]
    if len(fitting) != 1:
        what = "several plug-ins are" if fitting else "no plug-in is"
        remedy = did_you_mean(name, {one.name for one in entry_points})
        raise PluginInvalid(name, f"{what} installed under this name{'; ' + remedy if remedy and not fitting else ''}")
    [entry] = fitting
    try:
        offered = entry.load()
    except Exception as error:  # whatever foreign code raises, it is unusable
        raise PluginInvalid(name, f"it cannot be imported: {type(error).__name__}") from error
    parts = {part: getattr(offered, part, {}) for part in ("validators", "canonical_forms", "detectors")}
    for part, found in parts.items():
        if not isinstance(found, Mapping) or not all(
            isinstance(key, str) and callable(one) for key, one in found.items()
        ):
            raise PluginInvalid(name, f"its `{part}` is not a mapping of names to functions")
    if not any(parts.values()):
        raise PluginInvalid(name, "it offers neither validators nor canonical_forms nor detectors")
    version = entry.dist.version if entry.dist is not None else "unknown"
    return Plugin(name=name, version=version, digest=_digest(entry, version), **parts)


def _digest(entry: metadata.EntryPoint, version: str) -> str:
    """Return what changes when the plug-in's code does: the hashes of its installed files, and their bytes."""
    digest = hashlib.sha256(f"{entry.name}\0{entry.value}\0{version}\0".encode())
    for file in sorted(entry.dist.files or (), key=str) if entry.dist is not None else ():
        if file.suffix == ".pyc":
            continue
        digest.update(f"{file}\0".encode())
        try:
            digest.update(hashlib.sha256(file.read_binary()).digest())
        except OSError:
            digest.update(b"absent")
    return digest.hexdigest()


def guarded(validator: Validator) -> Callable[[bytes, int, int], bool]:
    """Return a check that asks a plug-in's validator; a value too long for it, or one it fails on, is masked."""

    def check(text: bytes, start: int, end: int) -> bool:
        if end - start > MAX_VALUE:
            return True
        try:
            return bool(validator(text[start:end]))
        except Exception:  # noqa: BLE001 - foreign code; what it cannot judge is masked
            return True

    return check


def canonical_by(form: CanonicalForm, value: bytes) -> bytes | None:
    """Return a value's form in which equal values have equal bytes, in UTF-8; None if the plug-in does not give one."""
    if len(value) > MAX_VALUE:
        return None
    try:
        return form(value).decode("utf-8", "replace").encode()
    except Exception:  # noqa: BLE001 - foreign code; a value that it cannot judge gets no equality
        return None

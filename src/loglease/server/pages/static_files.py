"""Our scripts and styles, served by us: a hash in every address, so that browsers may keep them for a year."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = MappingProxyType({".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"})
_HASH_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its address, its bytes plain and compressed, and its hash for the integrity attribute."""

    address: str
    media_type: str
    content: bytes
    compressed: bytes
    integrity: str


class StaticFiles:
    """All files under a folder, read once at start."""

    def __init__(self, folder: Path = FOLDER) -> None:
        found = [path for path in sorted(folder.rglob("*")) if path.suffix in _TYPES]
        self._by_name: Mapping[str, Asset] = {path.name: _asset(path) for path in found}
        self._by_address = {asset.address: asset for asset in self._by_name.values()}

    def asset(self, name: str) -> Asset:
        """Return a file by its plain name; templates name them so."""
        return self._by_name[name]

    def response(self, request: Request) -> Response:
        """Answer with the file at this address, or 404."""
        asset = self._by_address.get(request.url.path)
        if asset is None:
            return Response(status_code=404)
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            "vary": "accept-encoding",
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-origin",
        }
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(asset.content, headers=headers, media_type=asset.media_type)
        headers["content-encoding"] = "gzip"
        return Response(asset.compressed, headers=headers, media_type=asset.media_type)

    def total_compressed_bytes(self) -> int:
        """Return what a browser loads at most, for the promise to stay small."""
        return sum(len(asset.compressed) for asset in self._by_name.values())


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    digest = hashlib.sha256(content)
    return Asset(
        address=f"/static/{path.stem}.{digest.hexdigest()[:_HASH_DIGITS]}{path.suffix}",
        media_type=_TYPES[path.suffix],
        content=content,
        compressed=gzip.compress(content, 9, mtime=0),
        integrity=f"sha256-{base64.b64encode(digest.digest()).decode()}",
    )

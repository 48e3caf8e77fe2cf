"""The guide in a folder: how somebody who knows neither us nor LogLease checks what they were given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from loglease.audit.note import VerifierKey
from loglease.audit.report.catalogue import FRAMEWORKS, NO_CLAIM
from loglease.audit.report.documents import NAMES_NOTE, Report
from loglease.model.digest import sha256_hex
from loglease.model.instant import instant_text

_GUIDE: Final = """\
# Report `{name}` of the audit log `{origin}`

{text} Made at {made_at}; its entry in the log is `{id}`.

## What is here

| file | what it is |
| --- | --- |
| `report.json` | the report; the log has its SHA-256, `{sha256}` |
| `report.csv`, `tables/` | the same as CSV, as a whole and table by table |
| `report.html` | the same as a page that prints |
| `entries/` | the {count} entries of the log that the rows come from, byte for byte, by index |
| `proofs/` | for each entry, that it is in the log (the format tlog-proof of C2SP) |
| `checkpoint` | the signed head of the log that these proofs lead to |
| `log.vkey`, `log.pem` | the public key of the log, as a vkey and as PEM |
| `SHA256SUMS` | the SHA-256 of every other file but the next |
| `SHA256SUMS.note` | the log's signature over the digest of that list |

## Before you begin: whose key is it?

A folder that somebody made up would have a key that fits it. So take the log's key from a place that you trust, such as
the organisation's web page or an earlier audit, and compare:

```
{key}
```

## With LogLease

No server and no account is needed.

```
loglease audit verify-report . --key '{key}'
```

It checks the signature, every digest, that no file is missing or too much, that every entry is in the log by its proof,
and that the report names exactly these entries. One entry alone, by its index N:

```
loglease audit check proofs/N.tlog-proof --entry entries/N.json --key '{key}'
```

## With standard tools

Every file is what the list says:

```
sha256sum --check SHA256SUMS
```

The list is what the log's key signed; the first command has to print a line, and the last one
`Signature Verified Successfully` (OpenSSL 3 or newer):

```
grep "$(sha256sum < SHA256SUMS | cut -d ' ' -f 1)" SHA256SUMS.note
sed '/^$/,$d' SHA256SUMS.note > signed.txt
sed -n 's/^— [^ ]* //p' SHA256SUMS.note | head -n 1 | base64 -d | tail -c 64 > signature.bin
openssl pkeyutl -verify -pubin -inkey log.pem -rawin -in signed.txt -sigfile signature.bin
```

`log.pem` is the same key as `log.vkey`: the last 32 bytes of both are equal.

```
sed 's/.*+//' log.vkey | base64 -d | tail -c 32 | sha256sum
sed '/-----/d' log.pem | base64 -d | tail -c 32 | sha256sum
```

That an entry is in the log is shown by any program that reads tlog-proof files and signed notes. By hand: the leaf is
SHA-256 of a zero byte and the entry's bytes; each hash of the proof is put to the left or the right of what there is so
far, behind a byte 1, and hashed again (RFC 9162, section 2.1.3.2); the last is the root in `checkpoint`.

## That nothing was left out

The report `population` names the first and last index of its time, the number of entries of each type, and size and
root of the signed head. With an export of the log anybody counts again: `loglease audit export` writes one, and
`loglease audit verify` checks it. Compare the head with one that was kept elsewhere, such as in a mail or a ticket.

## How to read it

{names} {claim}

| framework | parts that this may help with |
| --- | --- |
{frameworks}
"""


def guide_of(report: Report, content: bytes, key: VerifierKey, indices: Sequence[int]) -> str:
    """Return the guide of one folder."""
    frameworks = "\n".join(f"| {FRAMEWORKS[name]} | {parts} |" for name, parts in report.kind.helps_with.items())
    return _GUIDE.format(
        name=report.kind.name,
        origin=key.name,
        text=report.kind.text,
        made_at=instant_text(report.made_at),
        id=report.id,
        sha256=sha256_hex(content),
        count=f"{len(indices):,}",
        key=key,
        names=NAMES_NOTE,
        claim=NO_CLAIM,
        frameworks=frameworks,
    )

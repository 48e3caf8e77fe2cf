"""`audit disclose`, `audit erase`, `audit prune` and `audit hold`: what people wrote, and how long the log keeps it."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from loglease.audit.disclosure import Disclosure, DisclosureInvalid
from loglease.audit.merkle import ProofInvalid
from loglease.audit.note import NoteInvalid
from loglease.audit.proof import InclusionProof
from loglease.cli.client import Body
from loglease.cli.commands.admin import principal_of
from loglease.cli.errors import Differs, Exit, Usage
from loglease.cli.ids import chosen
from loglease.cli.new_files import require_new, whole_file
from loglease.cli.output import moment
from loglease.cli.run import Here, Run, flag
from loglease.cli.terminal import one_line
from loglease.model.ids import HOLD
from loglease.model.instant import instant_text, parse_instant

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_SUBJECT = "sub_"


def disclose(
    entry: Annotated[str, Parameter(name="ENT", help="the entry, ent_…")],
    field: Annotated[str, Parameter(name="FIELD", help="which of its texts, such as reason_c")],
    /,
    *,
    to: Annotated[str, flag("the account of the auditor for whom it is")],
    purpose: Annotated[str | None, flag("what it is for, for the record")] = None,
    file: Annotated[
        Path | None, flag("write text, salt, entry and proof to this file, which `loglease audit check` checks")
    ] = None,
    run: Here,
) -> None:
    """Open one text of an entry for a named auditor; administrators only.

    It is on the record before it is shown. Salt and text prove that they are what the entry commits to, and a proof
    that the entry is in the log. With --file all of it goes into a file for the auditor, who needs nothing but that and
    the log's public key; the text itself is not shown here then.
    """
    if file is not None:
        require_new(file)
    body = {
        "entry": entry,
        "field": field,
        "to": principal_of(run, to),
        "purpose": purpose or run.asked("--purpose", "For what"),
    }
    found = run.client.post("/audit/disclosures", body)
    disclosed = _disclosed(found)
    if file is not None:
        with whole_file(file) as opened:
            opened.write(disclosed.encode())
    if run.out.json:
        run.out.resource(found)
        return
    text = [(found["field"].partition(":")[0], one_line(found["text"]))] if file is None else []
    run.out.facts(
        [
            ("Entry", f"{found['entry']}  #{found['index']}"),
            *text,
            ("Salt", disclosed.salt.hex()),
            ("Commitment", f"{disclosed.commitment}  (matches the entry)"),
            ("For", found["to"]["account"]),
            ("Record", found["recorded_as"]),
        ]
    )
    if file is not None:
        run.out.notice(
            f"Wrote {file}. Whoever has the log's public key checks it: loglease audit check {file} --key KEY"
        )


def _disclosed(found: Mapping[str, Any]) -> Disclosure:
    """Return what the server disclosed, once it is certain that an entry of the log commits to it."""
    try:
        made = Disclosure(
            field=str(found["field"]),
            salt=b64decode(found["salt"]),
            clear=b64decode(found["clear"]),
            content=b64decode(found["entry_bytes"]),
            proof=InclusionProof.parse(str(found["proof"]).encode()),
        )
        is_asked_for = made.entry().draft.id == found["entry"]
        made.proof.lead(made.content)
    except (DisclosureInvalid, NoteInvalid, ProofInvalid, ValueError) as error:
        raise Differs(
            f"What the server disclosed is not what entry {found['index']} commits to, or not in its log: {error}",
            next_step="Treat the server as tampered with: loglease audit verify.",
        ) from error
    if not is_asked_for:
        raise Differs(f"The server disclosed a text of another entry than {found['entry']}.")
    return made


def erase(
    *,
    subject: Annotated[str | None, flag("whom to erase: sub_…, or the account that is disabled by now")] = None,
    entry: Annotated[str | None, flag("or the one entry, ent_…")] = None,
    field: Annotated[str | None, flag("and which of its texts, such as reason_c")] = None,
    comment: Annotated[str | None, flag("why, for the other administrator and for the record")] = None,
    run: Here,
) -> Exit:
    """Propose to erase what somebody wrote, or one text; another administrator has to approve.

    With a subject everything that they wrote goes, and the link between their acts and who they are. The audit log and
    its proofs stay as they are. It cannot be undone.
    """
    if (subject is None) is (entry is None) or (entry is None) is not (field is None):
        raise Usage("What is to be erased?", next_step="Give --subject, or --entry and --field.")
    body: Body = {"comment": comment or run.asked("--comment", "Why")}
    if subject is None:
        body |= {"entry": entry, "field": field}
    else:
        body["subject"] = subject if subject.startswith(_SUBJECT) else _subject_of(run, subject)
    return _proposed(run, "/audit/erasures", body, "Propose to erase this for good?")


def prune(
    *,
    before: Annotated[str, flag("what was recorded before: a day such as 2025-11-23, or a time")],
    comment: Annotated[str | None, flag("why, for the other administrator and for the record")] = None,
    run: Here,
) -> Exit:
    """Propose to prune the oldest entries of the audit log; another administrator has to approve.

    Nothing goes that audit.retain keeps, that is under a hold, or about something that is not over. What goes is not
    served from then on, and deleted a month later; newer proofs stay valid.
    """
    body = {"before": _instant(before), "comment": comment or run.asked("--comment", "Why")}
    return _proposed(run, "/audit/prunings", body, f"Propose to prune what was recorded before {body['before']}?")


def hold_set(
    *,
    reason: Annotated[str | None, flag("for whom and what")] = None,
    from_: Annotated[
        str | None, flag("what was recorded from then on; default from the beginning", name="--from")
    ] = None,
    to: Annotated[str | None, flag("up to then; default without an end")] = None,
    run: Here,
) -> None:
    """Set a hold: nothing that was recorded in its time is erased or pruned."""
    body: Body = {"reason": reason or run.asked("--reason", "For what")}
    body |= {name: _instant(text) for name, text in (("from_at", from_), ("to_at", to)) if text is not None}
    made = run.client.post("/audit/holds", body, creates=True)
    if run.out.json:
        run.out.resource(made)
        return
    run.out.data(f"Set {made['id']} on {_span(made)}")
    run.out.notice(f"It is released by another administrator: loglease audit hold release {made['id']}")


def hold_release(id_: Annotated[str, Parameter(name="ID", help="the hold, hld_…")], /, *, run: Here) -> Exit:
    """Release a hold that somebody else set."""
    hold = chosen(run, id_, HOLD)
    if not run.confirm(f"Release {hold}? What it covers may then be erased and pruned."):
        run.out.notice("Nothing was released.")
        return Exit.NO
    done = run.client.post(f"/audit/holds/{hold}/release")
    if run.out.json:
        run.out.resource(done)
    else:
        run.out.data(f"Released {done['id']}")
    return Exit.DONE


def hold_list(*, run: Here) -> None:
    """List holds, released ones too."""
    found = run.client.every("/audit/holds")
    if run.out.json:
        run.out.resource({"items": found})
        return
    run.out.table(
        ["HOLD", "STATE", "OF", "BY", "SET", "REASON"],
        [
            [
                one["id"],
                "in force" if one["in_force"] else "released",
                _span(one),
                one["set_by"]["account"],
                moment(one["set_at"]),
                one_line(one["reason"]),
            ]
            for one in found
        ],
        none="No hold.",
    )


def _proposed(run: Run, path: str, body: Body, question: str) -> Exit:
    if not run.confirm(question):
        run.out.notice("Nothing was proposed.")
        return Exit.NO
    made = run.client.post(path, body, creates=True)
    if run.out.json:
        run.out.resource(made)
        return Exit.DONE
    run.out.data(f"Proposed: {made['id']}")
    run.out.notice(f"next: another administrator: loglease proposals approve {made['id']}")
    return Exit.DONE


def _subject_of(run: Run, account: str) -> str:
    return str(run.client.get(f"/principals/{principal_of(run, account)}")["subject"])


def _instant(text: str) -> str:
    return instant_text(parse_instant(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text))


def _span(hold: Body) -> str:
    return f"{hold['from_at'][:19]}Z to {hold['to_at'][:19]}Z"

"""`policy fetch`, `policy propose` and `proposals`: what other people have to approve before it holds, or is done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from loglease.cli.client import Body
from loglease.cli.errors import Differs, Exit, Usage
from loglease.cli.ids import chosen
from loglease.cli.output import moment
from loglease.cli.policy_files import PLAIN_PATH, files_in
from loglease.cli.run import Here, Run, flag
from loglease.cli.terminal import one_line
from loglease.cli.terms import digest_words
from loglease.model.ids import PROPOSAL

Id = Annotated[str, Parameter(name="ID", help="the proposal; @last is the newest")]


def fetch(
    directory: Annotated[Path, Parameter(name="DIR", help="a new or empty directory")],
    /,
    *,
    revision: Annotated[int | None, flag("an earlier revision instead of the one in force")] = None,
    run: Here,
) -> None:
    """Write the documents of a managed policy into a directory.

    Change them there, and propose the directory. Proposing an earlier revision is the way back to it.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise Usage(f"{directory} is there and not empty.", next_step="Name a new directory.")
    number = revision if revision is not None else run.client.get("/policies")["revision"]
    found = run.client.get(f"/policies/bundles/{number}")
    files: dict[str, str] = found.get("files", {})
    strange = [path for path in files if not PLAIN_PATH.fullmatch(path)]
    if strange:
        raise Usage(
            f"The server named a path that is none: {one_line(strange[0][:60])!r}.", next_step="Tell the operators."
        )
    for path, text in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="")
    if run.out.json:
        run.out.resource({name: value for name, value in found.items() if name != "files"} | {"paths": sorted(files)})
        return
    run.out.data(f"Revision {found['revision']} is in {directory}: {', '.join(sorted(files))}")
    run.out.notice(f"next: change it, then loglease policy propose {directory} --comment …")


def propose(
    directory: Annotated[Path, Parameter(name="DIR", help="directory with all *.yaml documents of the policy")],
    /,
    *,
    comment: Annotated[str | None, flag("why, for the people who decide and for the record")] = None,
    run: Here,
) -> None:
    """Propose the documents of a directory for the policy of the server.

    The server loads and tests them, and says what they would change. Nothing comes into force before other people
    approve: one, or two where somebody may get more. Documents with errors are refused, with file, line and column.
    """
    try:
        files = {path: content.decode() for path, content in files_in(directory).items()}
    except UnicodeDecodeError as error:
        raise Usage("A document is not UTF-8.", next_step="loglease policy check DIR says which.") from error
    why = comment or run.asked("--comment", "Why")
    made = run.client.post("/policies/bundles", {"files": files, "comment": why}, creates=True)
    if run.out.json:
        run.out.resource(made)
        return
    _show(run, made)
    run.out.notice(f"next: another person with the role policy_admin: loglease proposals approve {made['id']}")


def list_(*, limit: Annotated[int, flag("how many, newest first")] = 20, run: Here) -> None:
    """List proposals."""
    found = list(run.client.items("/proposals", most=limit))
    if run.out.json:
        run.out.resource({"items": found})
        return
    run.out.table(
        ["PROPOSAL", "KIND", "STATE", "WHAT", "APPROVALS", "BY", "PROPOSED", "COMMENT"],
        [
            [
                one["id"],
                one["kind"],
                _state(one),
                one["verdict"] if "verdict" in one else _what(one["act"]),
                f"{one['approvals']} of {one['needed']}",
                one["author"]["account"],
                moment(one["proposed_at"]),
                one_line(one["comment"]),
            ]
            for one in found
        ],
        none="No proposal.",
    )


def show(id_: Id, /, *, run: Here) -> None:
    """Show one proposal: what it would do, who approved, how it stands."""
    found = _found(run, id_)
    if run.out.json:
        run.out.resource(found)
    else:
        _show(run, found)


def approve(
    id_: Id,
    /,
    *,
    comment: Annotated[str, flag("for the record")] = "",
    digest: Annotated[str | None, flag("the digest that you expect; another one is refused")] = None,
    run: Here,
) -> Exit:
    """Look at a proposal and approve it; with the last approval it is in force, or done.

    Never one's own, under whatever account. It takes a sign-in at most 15 minutes old.
    """
    return _decided(run, _found(run, id_), "approve", comment, digest)


def deny(
    id_: Id,
    /,
    *,
    comment: Annotated[str | None, flag("why; its author reads it")] = None,
    digest: Annotated[str | None, flag("the digest that you expect; another one is refused")] = None,
    run: Here,
) -> Exit:
    """Look at a proposal and deny it, with a comment; that ends it."""
    return _decided(run, _found(run, id_), "deny", comment or run.asked("--comment", "Why"), digest)


def withdraw(id_: Id, /, *, run: Here) -> None:
    """Withdraw a proposal of yours."""
    done = run.client.post(f"/proposals/{chosen(run, id_, PROPOSAL)}/withdraw")
    if run.out.json:
        run.out.resource(done)
    else:
        run.out.data(f"Withdrawn: {done['id']}")


def _found(run: Run, text: str) -> Body:
    return run.client.get(f"/proposals/{chosen(run, text, PROPOSAL)}")


def _decided(run: Run, found: Body, verdict: str, comment: str, expected: str | None) -> Exit:
    if expected is not None and expected.lower().replace(" ", "") != found["digest"]:
        raise Differs(
            f"The proposal has the digest {found['digest']}, not the one you expect.",
            next_step=f"Look at it again: loglease proposals show {found['id']}",
        )
    if not run.out.json:
        _show(run, found)
    if not run.confirm("Approve exactly this?" if verdict == "approve" else "Deny this?"):
        run.out.notice("Nothing was decided.")
        return Exit.NO
    done = run.client.call(
        "POST",
        f"/proposals/{found['id']}/{verdict}",
        body={"comment": comment},
        headers={"If-Match": f'"{found["digest"]}"'},
    ).body
    if run.out.json:
        run.out.resource(done)
    else:
        run.out.data(f"{'Approved' if verdict == 'approve' else 'Denied'} by you. State: {_state(done)}")
    return Exit.DONE


def _state(found: Body) -> str:
    if found["state"] == "accepted":
        return f"accepted, revision {found['revision']}" if "revision" in found else "accepted and done"
    if found["state"] == "pending":
        return f"pending, {found['approvals']} of {found['needed']} approvals"
    return str(found["state"])


def _what(act: Body) -> str:
    """Return what an act would do, or did, in one line."""
    if "subject" in act:
        person = f"{act['person']['account']} ({act['subject']})" if "person" in act else str(act["subject"])
        return f"erase all that {person} wrote: {act.get('texts', 0)} texts, and who they are"
    if "entry" in act:
        return f"erase {act['field'][:16]} of {act['entry']}"
    return f"prune entries below #{act['min_index']}, recorded before {act['before'][:19]}Z"


def _show_act(run: Run, found: Body) -> None:
    decided = []
    if "decided_by" in found:
        decided = [found["decided_by"]["account"] + (f": {found['answer']}" if "answer" in found else "")]
    run.out.facts(
        [
            ("Proposal", f"{found['id']}  {_state(found)}"),
            ("By", f"{found['author']['name']} <{found['author']['account']}> at {moment(found['proposed_at'])} UTC"),
            ("Comment", found["comment"]),
            ("Would", _what(found["act"])),
            ("Needs", "another administrator"),
            *(("Decided by", one_line(one)) for one in decided),
            ("Digest", digest_words(found["digest"])),
        ]
    )


def _show(run: Run, found: Body) -> None:
    if "act" in found:
        _show_act(run, found)
        return
    width = max((len(one["verdict"]) for one in found["changes"]), default=0)
    changes = [
        f"{one['verdict']:<{width}}  {one['document']}  {one['text']}" + (f"  ({one['at']})" if "at" in one else "")
        for one in found["changes"]
    ]
    reviews = [
        f"{one['verdict']} by {one['reviewer']['account']}" + (f": {one['comment']}" if one["comment"] else "")
        for one in found["reviews"]
    ]
    run.out.facts(
        [
            ("Proposal", f"{found['id']}  {_state(found)}"),
            ("By", f"{found['author']['name']} <{found['author']['account']}> at {moment(found['proposed_at'])} UTC"),
            ("Comment", found["comment"]),
            ("Against", f"revision {found['base_revision']}"),
            ("Changes", "\n".join(one_line(one) for one in changes) or "nothing that decides"),
            ("Verdict", f"{found['verdict']}: {found['needed']} other {_people(found['needed'])} to approve"),
            ("Reviews", "\n".join(one_line(one) for one in reviews) or "none yet"),
            ("Documents", ", ".join(sorted(found.get("files", {})))),
            ("Digest", digest_words(found["digest"])),
        ]
    )


def _people(count: int) -> str:
    return "person has" if count == 1 else "people have"

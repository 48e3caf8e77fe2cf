"""Erasing for good: keys, private texts, and every copy of them that the state machines made.

The triggers that keep documents as they were stand aside while the table `erasing` has its one row, which no committed
transaction ever shows. `Store.wipe` then rewrites what holds rows, because pages that were split long ago, or rows that
are dead, may hold older copies.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from loglease.model.access_request import RequestState
from loglease.model.after_review import AfterState
from loglease.model.grant import GrantState
from loglease.model.ids import PrincipalId, SubjectId
from loglease.model.proposal import ProposalState
from loglease.store import scrubbing
from loglease.store.answers import SqlValues
from loglease.store.audit_schema import acts, entries, entry_index, erasing, legal_holds, private, subject_keys
from loglease.store.erasures_interface import Obstacle
from loglease.store.schema import (
    after_reviews,
    answers,
    decisions,
    grants,
    local_accounts,
    locks,
    principals,
    proposal_reviews,
    proposals,
    requests,
    reviews,
    revocations,
    subjects,
    suspensions,
    tokens,
)
from loglease.store.scrubbing import ERASED, LITERALS, scrubbed

WIPE_DUE: Final = "wipe_due"
"""The named value that says that something was erased and the file not rewritten since."""

WIPED_AT_ONCE: Final = 128 << 20
"""Bytes that are rewritten while a server serves: about a second."""

_NETWORK: Final = "network_c"
_LIVE: Final = (GrantState.SCHEDULED.value, GrantState.ACTIVE.value)
_UNDONE: Final = (AfterState.OPEN.value, AfterState.FOLLOW_UP.value)

Change = Callable[[str], str]


class SqlErasures:
    """`Erasures` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def principals_of(self, subject: str) -> Sequence[PrincipalId]:
        """Return the logins that entries name by a subject; none for one that is erased or was never drawn."""
        query = select(principals.c.id).where(principals.c.subject == subject).order_by(principals.c.id)
        return [PrincipalId(one) for one in self._connection.execute(query).scalars()]

    def is_known(self, principal: PrincipalId) -> bool:
        """Say whether a login is there and was not erased."""
        query = select(principals.c.account).where(principals.c.id == principal)
        account = self._connection.execute(query).scalar_one_or_none()
        return account is not None and account != _erased_account(principal)

    def texts_of(self, subject: str) -> int:
        """Return how many private texts are kept under a subject's key."""
        query = select(func.count()).select_from(private).where(private.c.subject == subject)
        return int(self._connection.execute(query).scalar_one())

    def obstacles(self, principals: Collection[PrincipalId]) -> Sequence[Obstacle]:
        """Return what is not over yet and needs the texts of these logins."""
        own = requests.c.requester.in_(principals)
        of_request = grants.c.request_id
        reviewed = select(reviews.c.request_id).where(_says(reviews, "reviewer", principals))
        wanted: tuple[tuple[str, ColumnElement[str], ColumnElement[bool]], ...] = (
            ("request that waits", requests.c.id, and_(own, requests.c.state == RequestState.PENDING.value)),
            ("grant that is not over", grants.c.id, and_(grants.c.holder.in_(principals), grants.c.state.in_(_LIVE))),
            (
                "request of somebody else that waits and that they reviewed",
                requests.c.id,
                and_(requests.c.id.in_(reviewed), requests.c.state == RequestState.PENDING.value),
            ),
            (
                "grant of somebody else that is not over and that they approved",
                grants.c.id,
                and_(of_request.in_(reviewed), grants.c.state.in_(_LIVE)),
            ),
            (
                "after-review that is not done",
                after_reviews.c.request_id,
                and_(
                    after_reviews.c.state.in_(_UNDONE),
                    after_reviews.c.request_id.in_(select(requests.c.id).where(own)),
                ),
            ),
            (
                "proposal that waits",
                proposals.c.id,
                and_(proposals.c.author.in_(principals), proposals.c.state == ProposalState.PENDING.value),
            ),
        )
        found = []
        for what, column, condition in wanted:
            first, count = self._connection.execute(select(func.min(column), func.count()).where(condition)).one()
            if count:
                found.append(Obstacle(what=what, id=first, count=count))
        return found

    def erase_subject(self, subject: str, principals: Sequence[PrincipalId], *, instead: SubjectId) -> int:
        """Delete a subject's key, texts and link to its logins, and every copy of what they wrote.

        The logins stay as ids without a name, an address, a password or a token. Returns how many texts were deleted.

        Args:
            instead: a fresh subject, since a login has one.
        """
        with self._permitted():
            count = self._delete_texts(subject, principals)
            self._delete_key(subject)
            self._scrub_requests(principals)
            self._scrub_acts_on_others(principals)
            self._scrub_logins(principals, instead)
            self._connection.execute(update(subjects).where(subjects.c.subject == subject).values(principal=None))
        return count

    def erase_field(self, entry_id: str, path: str, clear: str) -> None:
        """Delete one private text and its copies in what the entry is about."""
        entry = self._connection.execute(
            select(entries.c.bytes).where(entries.c.id == bindparam("key")), {"key": entry_id}
        ).scalar_one()
        with self._permitted():
            self._execute(delete(private).where(private.c.entry_id == entry_id, private.c.field == path))
            self._scrub_copies(orjson.loads(entry), clear)

    @contextmanager
    def _permitted(self) -> Iterator[None]:
        """Let documents be changed inside, and note that the file is to be rewritten afterwards."""
        self._execute(insert(erasing).values(id=1))
        yield
        self._execute(delete(erasing))
        SqlValues(self._connection).put(WIPE_DUE, "1")

    def _delete_texts(self, subject: str, of: Sequence[PrincipalId]) -> int:
        # Where somebody asked from is also committed to by acts of others on their requests, under the others' keys.
        on_theirs = (
            select(entries.c.id)
            .join(entry_index, entry_index.c.idx == entries.c.idx)
            .where(entry_index.c.request_id.in_(select(requests.c.id).where(requests.c.requester.in_(of))))
        )
        theirs = or_(private.c.subject == subject, and_(private.c.field == _NETWORK, private.c.entry_id.in_(on_theirs)))
        return self._execute(delete(private).where(theirs))

    def _delete_key(self, subject: str) -> None:
        """Delete a key, and write all others anew: emptying a table overwrites its pages as a whole."""
        kept = self._connection.execute(select(subject_keys).where(subject_keys.c.subject != subject)).mappings().all()
        self._execute(delete(subject_keys))
        if kept:
            self._connection.execute(insert(subject_keys), [dict(row) for row in kept])

    def _scrub_requests(self, of: Sequence[PrincipalId]) -> None:
        mine = requests.c.requester.in_(of)
        theirs = select(requests.c.id).where(mine)
        self._rewrite(requests, mine, scrubbed)
        self._execute(update(requests).where(mine).values(present=None))
        self._rewrite(grants, grants.c.holder.in_(of), lambda text: scrubbing.without_salts(scrubbed(text)))
        # A narrowing repeats the literals of the request that it narrows.
        self._rewrite(reviews, reviews.c.request_id.in_(theirs), lambda text: scrubbed(text, names=LITERALS))
        self._execute(delete(decisions).where(_names(decisions, of)))

    def _scrub_acts_on_others(self, of: Sequence[PrincipalId]) -> None:
        """Take out what somebody wrote about requests, grants and things of other people."""
        self._scrub_narrowings(of)
        self._rewrite(reviews, _says(reviews, "reviewer", of), scrubbed)
        self._rewrite(
            after_reviews, _says(after_reviews, "reviewer", of), lambda text: scrubbing.of_reviewers(text, of)
        )
        self._rewrite(revocations, _says(revocations, "by", of), scrubbed)
        self._rewrite(proposal_reviews, _says(proposal_reviews, "reviewer", of), scrubbed)
        self._rewrite(proposals, proposals.c.author.in_(of), lambda text: scrubbed(text, names={"comment"}))
        self._rewrite(acts, acts.c.author.in_(of), lambda text: scrubbed(text, names={"comment"}))
        for table, by in (
            (grants, grants.c.ended_by),
            (locks, locks.c.added_by),
            (suspensions, suspensions.c.by),
            (legal_holds, legal_holds.c.set_by),
        ):
            said = and_(by.in_(of), table.c.reason != "")
            self._execute(update(table).where(said).values(reason=ERASED))
        decided = and_(acts.c.decided_by.in_(of), acts.c.answer != "")
        self._execute(update(acts).where(decided).values(answer=ERASED))

    def _scrub_narrowings(self, of: Sequence[PrincipalId]) -> None:
        """Take the line rules that somebody added in a review out of what came of it."""
        query = (
            select(reviews.c.request_id, reviews.c.document, requests.c.document)
            .join(requests, requests.c.id == reviews.c.request_id)
            .where(_says(reviews, "reviewer", of))
        )
        for request_id, review, request in self._connection.execute(query).all():
            narrowed = scrubbing.literals_in(orjson.loads(review).get("narrowed"))
            added = narrowed - scrubbing.literals_in(orjson.loads(request)["offer"]["terms"])
            change = partial(scrubbed, names=LITERALS, gone=added.__contains__)
            for table in (grants, reviews):
                self._rewrite(table, table.c.request_id == request_id, change)
            self._rewrite(requests, requests.c.id == request_id, scrubbing.without_secret)

    def _scrub_logins(self, of: Sequence[PrincipalId], instead: SubjectId) -> None:
        for table in (local_accounts, tokens, answers):
            self._execute(delete(table).where(table.c.principal.in_(of)))
        self._connection.execute(insert(subjects), {"subject": instead, "principal": of[0]})
        for one in of:
            found = self._connection.execute(select(principals.c.document).where(principals.c.id == one)).scalar_one()
            kept = {name: value for name, value in orjson.loads(found).items() if name in _KEPT}
            nobody = {"account": _erased_account(one), "name": ERASED, "subject": instead, "enabled": False}
            document = orjson.dumps({**kept, **nobody, "groups": [], "roles": []}).decode()
            changed = {"account": nobody["account"], "subject": instead, "document": document}
            revision = select(func.max(principals.c.revision) + 1).scalar_subquery()
            self._execute(update(principals).where(principals.c.id == one).values(**changed, revision=revision))

    def _scrub_copies(self, entry: dict[str, Any], clear: str) -> None:
        """Take one text out of everything that an entry speaks of."""
        inside = _inside(clear)

        def gone(text: str) -> bool:
            return clear in {text, f"contains={text}"} or text in inside

        def change(text: str) -> str:
            return scrubbed(text, gone=gone)

        about = entry["ref"].get("request")
        if about is not None:
            self._rewrite(requests, requests.c.id == about, change)
            for table in (grants, reviews, after_reviews):
                self._rewrite(table, table.c.request_id == about, change)
            self._execute(delete(decisions).where(_names(decisions, [about])))
            self._forget_reason(grants, grants.c.request_id == about, clear)
            of_request = select(grants.c.id).where(grants.c.request_id == about)
            self._forget_reason(suspensions, suspensions.c.grant_id.in_(of_request), clear)
            held = list(self._connection.execute(of_request).scalars())
            if held:
                self._rewrite(revocations, _names(revocations, held), change)
        lock = entry["ref"].get("lock") or entry["data"].get("lock")
        if lock is not None:
            self._forget_reason(locks, locks.c.id == lock, clear)
        proposal = entry["ref"].get("proposal")
        if proposal is not None:
            self._rewrite(proposals, proposals.c.id == proposal, change)
            self._rewrite(proposal_reviews, proposal_reviews.c.proposal_id == proposal, change)
            self._rewrite(acts, acts.c.id == proposal, change)
            self._execute(update(acts).where(acts.c.id == proposal, acts.c.answer == clear).values(answer=ERASED))

    def _forget_reason(self, table: Table, which: ColumnElement[bool], clear: str) -> None:
        self._execute(update(table).where(which, table.c.reason == clear).values(reason=ERASED))

    def _rewrite(self, table: Table, which: ColumnElement[bool], change: Change) -> None:
        """Change the documents of some rows."""
        key = table.primary_key.columns[0]
        found = self._connection.execute(select(key, table.c.document).where(which)).all()
        for identity, document in found:
            after = change(document)
            if after != document:
                self._execute(update(table).where(key == identity).values(document=after))

    def _execute(self, statement: Any) -> int:
        return int(self._connection.execute(statement).rowcount)


def _erased_account(principal: PrincipalId) -> str:
    return f"erased-{principal}"


_KEPT: Final = frozenset({"id", "issuer", "kind", "person"})


def _inside(clear: str) -> frozenset[str]:
    """Return the texts that a committed JSON object holds, such as what a policy asked for in fields of its own."""
    try:
        found = orjson.loads(clear)
    except orjson.JSONDecodeError:
        return frozenset()
    return frozenset(str(one) for one in found.values()) if isinstance(found, dict) else frozenset()


def _names(table: Table, ids: Collection[str]) -> ColumnElement[bool]:
    return or_(*(table.c.document.contains(f'"{one}"', autoescape=True) for one in ids))


def _says(table: Table, name: str, ids: Collection[str]) -> ColumnElement[bool]:
    return or_(*(table.c.document.contains(f'"{name}":"{one}"', autoescape=True) for one in ids))

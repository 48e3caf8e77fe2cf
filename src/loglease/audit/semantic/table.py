"""The rules by name, with what must hold: what the command prints, and what the reference is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        holds: what must hold, in one sentence.
        meaning: how it is applied to what the product writes, where the sentence alone does not tell.
        needs: what it needs beside the entries; empty for nothing.
    """

    name: str
    holds: str
    meaning: str = ""
    needs: str = ""


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "S1",
        "Every entry is canonical, of a known type and of its exact schema; no id occurs twice; time never goes back.",
    ),
    Rule(
        "S2",
        "The log begins with `service.started`, always names one origin, and every checkpoint is signed by a key that"
        " was valid at its size.",
        "A key is valid from the `service.started` or `key.rotated` that names it; after a rotation the old one is,"
        " too, until `overlap_until_at`. After a restore the log may begin with `log.restored`. One that names another"
        " origin goes on from an earlier generation of the same log, before anybody asked for anything here.",
        "the checkpoints with the keys that signed them",
    ),
    Rule(
        "S3",
        "Every id that an entry refers to was introduced before, none is introduced twice, and requests, grants,"
        " sessions, locks and proposals go only the ways of their state machines.",
        "Ids in `access.refused` are what a caller named, and may be of nothing. What has no entry of its own, such as"
        " the token of a web session, cannot be unknown.",
    ),
    Rule("S4", "The digest of every request is that of the wish and the offer on the record."),
    Rule(
        "S5",
        "Every offer names the policy bundle that was in force.",
        "Processes take a new bundle over within a second, and what was being decided ends under the old one: a bundle"
        " counts for ten more seconds. With bundles and opened decision records (`record_c`) each offer is computed"
        " again, and has to be the same.",
        "policy bundles and opened decision records",
    ),
    Rule(
        "S6",
        "Every counted review is an approval of that request, given before, while it was pending, on its digest;"
        " approval and grant count the same ones.",
    ),
    Rule(
        "S7",
        "Counted reviewers are different subjects, human, neither locked nor disabled, and none is or may be the"
        " requester, the beneficiary or the owner of either, or stands in for one of them.",
        "Suspected and linked subjects count as one person, over any number of steps.",
    ),
    Rule(
        "S8",
        "The counted reviews meet every plan of the offer: one slot a person and plan, by the names under which they"
        " reviewed.",
        "Whom an escalation names is among the names of its stage. A stand-in fills no slot beside the one they stand"
        " in for, none once that is over, and none where they were named after the submit. What the policy demanded"
        " besides, when it was decided again, is not in the offer.",
    ),
    Rule(
        "S9",
        "No request with a denial is approved, and only an offer that says so leads to a grant without reviews.",
    ),
    Rule(
        "S10",
        "The grant lies inside of every counted review, that inside of the offer, and that inside of the request:"
        " scopes with rules, window and profile, duration, limits, elevation, reveal, holder.",
        "Profiles are compared by name: a scope lists its own and those that it is stricter than.",
    ),
    Rule(
        "S11",
        "A grant is activated inside of its window, for its duration at most, and the reviews that were checked again"
        " still satisfy S6, S7 and S8.",
        "An extension begins where the grant before it ends, by itself, and its window is as long as its duration.",
    ),
    Rule(
        "S12",
        "A grant expires at its end and not before; a revocation is somebody's act, and takes effect no later than"
        " it is recorded.",
        "Nobody's act are only revocations that were recorded late, what a policy's `keep` revokes, and an extension"
        " that ends with the grant before it.",
    ),
    Rule(
        "S13",
        "No session, query, reservation, revealed value or raised level after the revocation or end of the grant,"
        " inside of a suspension or lock, or once its time is over; nothing opens, is activated or raised while a clock"
        " cannot be trusted.",
        "Locks count on the grant, its request, policy and sources, and on everything; those on people are for S24. An"
        " extension is held, too, while a person holds the grant before it, and a reveal without its line's grant.",
    ),
    Rule(
        "S14",
        "A session has one grant, is its holder's, and opens while that is active, under the current epoch.",
    ),
    Rule(
        "S15",
        "What a query may read lies inside of one scope of the grant, with all its line rules and profiles.",
    ),
    Rule(
        "S16",
        "Batches of a session are numbered from 1 without a gap, reserve at most 256 lines and 64 KiB, or one larger"
        " item, and settle at most what was reserved; totals are sums; lines have event times, in the interval and the"
        " scopes of the query.",
        "The times of samples and names are no event times. With served lists these are opened and counted.",
        "served lists",
    ),
    Rule(
        "S17",
        "At every entry, what all sessions of a grant settled and reserved is within its limits of lines and bytes.",
        "What a crash leaves uncertain stays charged.",
    ),
    Rule(
        "S18",
        "Every session is closed once, or open at a live replica; by `crash` only after its replica started again or"
        " was given up, or after 30 s in which it wrote nothing.",
        "After a restore from published bundles the database may not know a session that the log has: then it is a"
        " finding.",
    ),
    Rule(
        "S19",
        "Sessions close within 3 s of the revocation, suspension, lock or end of their grant; above 1 s is a finding.",
        "A session that a crash ended is closed when somebody recovers it; until then it can reserve nothing. One that"
        " is still open at the end of the log counts as late if its replica wrote for another session after that. A"
        " close that came later than that is a finding, too, where an `audit.resumed` says that its replica could"
        " record nothing from before it was late until shortly before it came.",
    ),
    Rule("S20", "A revealed value is the one that was approved, and is revealed once."),
    Rule(
        "S21",
        "A level is raised inside of the grant's elevation, and then reverted to its baseline, or failed, once; what is"
        " open or overdue is a finding.",
        "The baseline is the one that was seen when the level was raised.",
    ),
    Rule(
        "S22",
        "Policy revisions rise. A signed bundle has enough signers. A managed one has a proposal that enough other"
        " people approved, none of them its author; one that widens with fewer than two is a finding.",
    ),
    Rule(
        "S23",
        "Pruning, erasing, and changes of links have a second person: somebody else, human, not locked or disabled;"
        " a change of roles without one is a finding. Who proposed an act does not approve it. Who locked everything"
        " does not lift that.",
        "What the operator of the machine does, such as the first account, has no second person.",
    ),
    Rule("S24", "Nobody signs in, gets a token, reviews, opens a session or reserves while locked or disabled."),
    Rule(
        "S25",
        "An after-review is by a person other than the requester, human and not locked; a missing or late one is a"
        " finding, and so is broken glass at which nobody has to look.",
    ),
    Rule(
        "S26",
        "Every start says how its replica ended before, as the log has it; one without a stop before it is a finding,"
        " and so is a replica that the others gave up; only replicas that started, and are not over, serve; nothing"
        " is reserved between a late revocation's effect and its record.",
        "Three seconds, the bound of the cut, are left for what was on its way. What a restored database says of the"
        " process before it is older than the log.",
    ),
    Rule(
        "S27",
        "Pruning only goes forward, by whole bundles, takes only what is older than it says, nothing under a hold and"
        " nothing of a request or grant that is not over, and keeps what `audit.retain` says; after a restore the epoch"
        " is higher, and no older grant serves before it was resumed.",
        "In a later generation of a log, grants of the one before are known by their resumption alone. Where the"
        " beginning of a log is not there, it is told whether an entry `log.pruned` says so.",
        "`audit.retain`",
    ),
)
"""All rules, in order."""

"""The attacks that this product has to withstand, one row each, and what of a row cannot be tried yet and why.

Tests say which rows they are with `@pytest.mark.attack("GW-05")`; they stand beside what they attack, anywhere under
`tests/`. `test_catalogue.py` holds the two against each other. `python -m tests.attacks.catalogue` prints the table.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]

PROVIDERS = (
    "people sign in with local passwords; there is no identity provider whose tokens could be forged or replayed"
)
CHAT = "no chat is connected: nobody can decide there, and there is no address that chat calls"
SEALED = "sealed tokens for a dead control plane do not exist; a text that claims to be one is no token at all"


@dataclass(frozen=True, slots=True)
class Row:
    """One attack.

    Attributes:
        severe: whether it would expose lines, decisions or the record.
        attempt: what is tried, in a few words.
        later: why it, or a part of it, cannot be tried yet; empty where all of it is.
    """

    id: str
    severe: bool
    attempt: str
    later: str = ""


def _rows(area: str, *rows: tuple[bool, str] | tuple[bool, str, str]) -> Iterator[Row]:
    for number, row in enumerate(rows, 1):
        yield Row(f"{area}-{number:02}", *row)


S0, S1 = True, False
CATALOGUE: Final[Sequence[Row]] = (
    *_rows(
        "AU",
        (S0, "tokens that nobody signed, or that only look like ours", PROVIDERS),
        (S0, "a provider's token for another audience or of another issuer", PROVIDERS),
        (S1, "tokens without an end, long over, or not begun", PROVIDERS),
        (S0, "rights by an e-mail address that somebody else has too", PROVIDERS),
        (S0, "account names that look like another's"),
        (S0, "headers that name somebody else as the caller"),
        (S0, "a leaver with everything that was ever issued to them"),
        (S0, "one-time codes used twice, at once, elsewhere or too late", "device sign-in has no codes yet"),
        (S0, "forms, images and calls of a foreign page"),
        (S1, "credentials in addresses"),
    ),
    *_rows(
        "AP",
        (S0, "to review one's own request", CHAT),
        (
            S0,
            "reviews by an agent, or by whoever joins the approvers afterwards",
            "groups have no owners who add members",
        ),
        (S0, "requests that bring their own decision along"),
        (S0, "other terms under approvals that were given before"),
        (S0, "an approval with the digest of something else"),
        (S0, "one approval, many times at once", CHAT),
        (S0, "opposite decisions at the same moment"),
        (S0, "every operation as everybody, by every verb and near every path"),
        (S0, "links to reviews that scanners and strangers open"),
        (S0, "forged, changed or repeated calls of a chat", CHAT),
        (S1, "durations that are none, or too much"),
        (S1, "reasons that break out of wherever they are shown"),
        (S0, "to move the end of a grant"),
        (S0, "to bring back what is over"),
    ),
    *_rows(
        "PO",
        (S0, "a policy that lets its author in"),
        (S0, "misspelt words and wrong places in policy documents"),
        (S0, "selectors that name nothing, and so everything"),
        (S0, "what one list, search, stream or page hides and another shows"),
        (S0, "templates and format strings in every text"),
    ),
    *_rows(
        "GW",
        (S0, "doubled slashes"),
        (S0, "paths that climb, however they are encoded"),
        (S0, "old and foreign names of routes"),
        (S0, "routes of a log store that write, delete or tell of it"),
        (S0, "parameters with two meanings"),
        (S0, "the tenant in a header"),
        (S0, "requests that two parsers would read in two ways"),
        (S0, "credentials of clients that travel on to a store"),
        (S0, "formats that were not agreed on, asked for or answered"),
        (S0, "answers that are kept and given to somebody else"),
        (S0, "a store that sends us elsewhere"),
        (S0, "two grants mixed into more than either"),
        (S0, "web sockets that a foreign page opens"),
    ),
    *_rows(
        "QL",
        (S0, "selectors beside the grant"),
        (S0, "regular expressions and negations around the grant"),
        (S0, "quotes, comments and line ends that open the fence"),
        (S0, "other streams inside of one number"),
        (S0, "times in every notation, outside of the window"),
        (S0, "names, counts and statistics of what is hidden"),
        (S0, "filters that feel for what is under a mask"),
        (S0, "templates that encode what is under a mask"),
        (S1, "queries that cost more than they look"),
    ),
    *_rows(
        "RD",
        (S0, "a secret that a cut divides"),
        (S0, "a private key over many lines, batches and streams"),
        (S0, "lines without an end"),
        (S0, "secrets deep inside of nested texts"),
        (S0, "secrets in escapes and encodings"),
        (S0, "secrets between invisible characters"),
        (S0, "secrets in labels, their names, metadata and errors"),
        (S0, "a store or a redactor that fails"),
        (S0, "rules that are missing or broken, also while they are in use"),
        (S0, "to switch masking off from outside"),
    ),
    *_rows(
        "RV",
        (S0, "a busy tail while its grant is revoked"),
        (S0, "a reader who stops reading before the cut and goes on after it"),
        (S0, "very many tails of one grant or person"),
        (S0, "a revocation on one server and streams on another"),
        (S0, "everything that was given out before the revocation"),
        (S0, "lines that are ready around the end"),
        (S0, "a revocation of which nobody is notified"),
        (S0, "a gateway that loses its database"),
        (S0, "ends by every name that a revocation or lock can have"),
        (S0, "the last approval after the end"),
        (S0, "yesterday's backup with a grant that was active then"),
    ),
    *_rows(
        "AD",
        (S0, "to read while nothing can be recorded"),
        (S0, "a full or failing disk while lines are served"),
        (S0, "a process that dies while lines are served"),
        (S0, "a record that was changed, shortened or rearranged"),
        (S1, "texts that look like records"),
        (S0, "lines that are received and not counted"),
        (S0, "one budget used from many sides at once"),
        (S0, "to change an entry by the API or in the database"),
    ),
    *_rows(
        "UI",
        (S0, "markup in lines, labels, names and reasons"),
        (S1, "control sequences in whatever a terminal shows"),
        (S1, "formulas in cells of tables"),
        (S1, "our pages in a foreign frame"),
        (S1, "look-alike names, and texts that push the facts out of sight"),
    ),
    *_rows(
        "IN",
        (S0, "calls of ours to addresses inside, however they are written"),
        (S1, "a provider whose keys change or cannot be fetched", PROVIDERS),
        (S1, "a store that answers without end, with nonsense or beside the scope"),
        (S1, "links that would send a form by being opened"),
    ),
    *_rows(
        "DS",
        (S1, "tails that nobody reads"),
        (S1, "all places for tails taken"),
        (S0, "a revocation while everything is busy"),
        (S1, "bodies that are large, deep, packed or endless"),
        (S1, "to stop a server full of sessions"),
    ),
    *_rows(
        "FT",
        (S0, "to die at each step of each act"),
        (S0, "a disk without a free byte"),
        (S0, "a database that goes away and comes back"),
        (S0, "a commit whose answer is lost"),
        (S1, "two processes on one database"),
    ),
    *_rows(
        "BG",
        (S0, "an emergency that cannot be recorded or told"),
        (S0, "emergencies beyond their rate, their scope or an open review", SEALED),
        (S1, "an after-review by whoever it is about, or by nobody"),
    ),
    *_rows(
        "DP",
        (S0, "a server that nobody configured"),
        (S1, "files and keys that others can read"),
        (S0, "a race for the first account"),
    ),
)


def marked_tests(folder: Path) -> Mapping[str, Sequence[str]]:
    """Return the tests of each row, as `file::name`, as they are marked in the sources."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("test_*.py")):
        text = path.read_text()
        if "mark.attack(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for row in _marked(node):
                    found[row].append(f"{path.relative_to(folder)}::{node.name}")
    return found


def _marked(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for one in node.decorator_list:
        if isinstance(one, ast.Call) and ast.unparse(one.func) == "pytest.mark.attack":
            yield from (ast.literal_eval(argument) for argument in one.args)


def table() -> str:
    """Return the catalogue with its tests as text."""
    tests = marked_tests(TESTS)
    lines = []
    for row in CATALOGUE:
        lines.append(f"{row.id} {'severe' if row.severe else '      '} {row.attempt}")
        lines += [f"        {one}" for one in tests.get(row.id, ())]
        lines += [f"        not yet: {row.later}"] if row.later else []
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())  # noqa: T201 - it is what this is called for

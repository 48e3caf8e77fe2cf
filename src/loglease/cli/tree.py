"""The tree of commands, by name: each is imported only when it is run, or when help lists it."""

from __future__ import annotations

import inspect
from collections.abc import Container
from importlib import import_module
from typing import Final

from cyclopts import App, Group, Parameter

from loglease import __version__

_HERE: Final = "loglease.cli.commands"
_ASK = Group("Ask", sort_key=1)
_DECIDE = Group("Decide", sort_key=2)
_READ = Group("Read", sort_key=3)
_LOOK = Group("Look after", sort_key=4)
_RUN = Group("Run", sort_key=5)
_HELP = Group("Help", sort_key=6)

# Command, where it is, what it is for. The text is the first line of its docstring, so that help imports nothing; a
# test compares the two.
COMMANDS: Final = (
    (_ASK, "login", "account:login", "Sign in with a local account and keep the tokens."),
    (_ASK, "logout", "account:logout", "End the sign-in and forget its tokens."),
    (_ASK, "whoami", "account:whoami", "Show who you are, your groups and roles, and what this sign-in may do."),
    (_ASK, "request", "asking:request", "Ask for access to one slice of the logs, and wait for the decision."),
    (_ASK, "cancel", "asking:cancel", "Withdraw a pending request of yours."),
    (_DECIDE, "requests", "requests:requests", "List access requests, or show one with its timeline."),
    (_DECIDE, "approve", "deciding:approve", "Look at a request and approve it, perhaps narrower than it was asked."),
    (_DECIDE, "deny", "deciding:deny", "Look at a request and deny it, with a comment."),
    (_READ, "grants", "grants:grants", "List grants, or show one: both clocks, budgets, sessions."),
    (_READ, "use", "grants:use", "Activate a grant: its clock starts now."),
    (_READ, "return", "grants:return_", "Give a grant back: its sessions end, nobody can use it any more."),
    (_READ, "logs", "reading:logs", "Read lines or numbers under a grant."),
    (_READ, "tail", "reading:tail", "Follow lines under a grant until it ends, or until Ctrl-C."),
    (_READ, "env", "environment:env", "Print what other programs need to read under a grant."),
    (
        _DECIDE,
        "revoke",
        "revoking:revoke",
        "Take access away: grants, or all that a person, group, source or policy has.",
    ),
    (_DECIDE, "suspend", "revoking:suspend", "Stop grants for now; their clocks run on."),
    (_DECIDE, "resume", "revoking:resume", "Lift the suspension of grants."),
    (_LOOK, "redact", "redact:redact", "Mask secrets and personal data in text, without a server."),
    (_RUN, "serve", "local:serve", "Run the server: control plane, gateway and web pages in one process."),
    (_RUN, "doctor", "local:doctor", "Check this installation: ok, warn or fail, each with a remedy."),
    (
        _RUN,
        "migrate-store",
        "local:migrate_store",
        "Move the database of a stopped server into PostgreSQL.",
    ),
    (_RUN, "demo", "local:demo", "Walk the whole journey on real log lines, then leave the server running."),
    (_HELP, "completion", "completion:completion", "Print the completion script of a shell."),
)
GROUPS: Final = (
    (
        _LOOK,
        "sources",
        "Where logs come from.",
        (
            ("list", "sources:list_", "List the sources that you may ask for."),
            ("show", "sources:show", "Show one source."),
            ("labels", "sources:labels", "List the labels of a source, or the values of one label."),
        ),
    ),
    (
        _LOOK,
        "lock",
        "Locks: nothing that they match can be used.",
        (
            ("add", "locks:add", "Lock a person, group, grant or other thing; with --revoke its grants end."),
            ("list", "locks:list_", "List locks."),
            ("lift", "locks:lift", "Lift a lock; never one that is aimed at you."),
        ),
    ),
    (
        _LOOK,
        "stand-in",
        "Who reviews in whose place.",
        (
            ("name", "stand_ins:name", "Name who reviews in your place for a time."),
            ("list", "stand_ins:list_", "List who stands in for you, and for whom you do."),
            ("end", "stand_ins:end", "End that somebody stands in for you, or you for somebody."),
        ),
    ),
    (
        _LOOK,
        "token",
        "Tokens for programs.",
        (
            ("create", "tokens:create", "Issue a token; its secret is printed this once."),
            ("list", "tokens:list_", "List your tokens."),
            ("delete", "tokens:delete", "Delete a token: it works no more."),
        ),
    ),
    (
        _LOOK,
        "audit",
        "The audit log.",
        (
            ("list", "audit:list_", "List audit entries."),
            ("verify", "audit_verify:verify", "Verify a log: signatures, every hash, every entry and its form."),
            (
                "consistency",
                "audit_verify:consistency",
                "Prove or refute that the log of head B begins with the log of head A.",
            ),
            (
                "prove",
                "audit_proofs:prove",
                "Write a proof that an entry is in a log, for people who have neither.",
            ),
            (
                "check",
                "audit_proofs:check",
                "Check a proof that an entry is in a log, or a text of one that was disclosed, without the log.",
            ),
            ("checkpoint", "audit_proofs:checkpoint", "Print the newest signed head of a log."),
            (
                "witness",
                "audit_witness:witness",
                "Run a witness: it cosigns checkpoints of logs, and never two that contradict each other.",
            ),
            (
                "export",
                "audit_export:export",
                "Export the audit log: its entries in their order, or the directory that it is published as.",
            ),
            (
                "who-saw",
                "audit_who_saw:who_saw",
                "Say who was shown lines of some streams, event times, a pseudonym or a value.",
            ),
            ("report", "audit_report:report", "Make a report for auditors."),
            ("reports", "audit_report:reports", "List the reports that can be made, and what each may help with."),
            ("sign", "audit_report:sign", "Sign off a report that was made, or object to it."),
            (
                "verify-report",
                "audit_report:verify_report",
                "Check the folder of a report, from its files and the log's public key alone.",
            ),
            (
                "disclose",
                "audit_private:disclose",
                "Open one text of an entry for a named auditor; administrators only.",
            ),
            (
                "erase",
                "audit_private:erase",
                "Propose to erase what somebody wrote, or one text; another administrator has to approve.",
            ),
            (
                "restore",
                "local:restore_log",
                "Go on with the audit log of a stopped server whose database, or whose key, was lost.",
            ),
            (
                "prune",
                "audit_private:prune",
                "Propose to prune the oldest entries of the audit log; another administrator has to approve.",
            ),
        ),
    ),
    (
        _LOOK,
        "rules",
        "Rule packs and redaction profiles.",
        (
            ("check", "rules:check", "Check rule packs and profiles as a server would before it takes them, and more."),
            (
                "test",
                "rules:run_examples",
                "Run the examples and non-examples of rule packs on every engine of this machine.",
            ),
            ("list", "rules:list_", "List rules: id, class, treatment, pack."),
        ),
    ),
    (
        _DECIDE,
        "proposals",
        "What other people have to approve: changes of a managed policy, and acts of administrators.",
        (
            ("list", "proposals:list_", "List proposals."),
            ("show", "proposals:show", "Show one proposal: what it would do, who approved, how it stands."),
            (
                "approve",
                "proposals:approve",
                "Look at a proposal and approve it; with the last approval it is in force, or done.",
            ),
            ("deny", "proposals:deny", "Look at a proposal and deny it, with a comment; that ends it."),
            ("withdraw", "proposals:withdraw", "Withdraw a proposal of yours."),
        ),
    ),
    (
        _LOOK,
        "policy",
        "Policy documents.",
        (
            ("check", "policy:check", "Check policy documents."),
            ("test", "policy:run_cases", "Run the tests of policy documents."),
            ("show", "policy:show", "Show what a directory of policy documents says."),
            ("key", "signing:key", "Make a private key for signing, and print its public key."),
            ("sign", "signing:sign", "Sign the policy documents of a directory."),
            (
                "verify",
                "signing:verify",
                "Verify that the files of a directory are those that enough people signed.",
            ),
            (
                "publish",
                "signing:publish",
                "Put a bundle where the server of this machine reads it, in one step, and have it read.",
            ),
            ("fetch", "proposals:fetch", "Write the documents of a managed policy into a directory."),
            (
                "bundles",
                "kept_bundles:bundles",
                "Write the documents of every bundle that was in force into a directory, each under its hash.",
            ),
            ("propose", "proposals:propose", "Propose the documents of a directory for the policy of the server."),
            ("schema", "policy:schema", "Print a JSON Schema of policy documents, for editors."),
            ("fmt", "formatting:fmt", "Write policy files in their canonical layout."),
            (
                "decisions",
                "simulating:decisions",
                "Print the decisions on requests that the server has kept, one JSON object a line.",
            ),
            (
                "simulate",
                "simulating:simulate",
                "Decide recorded requests again by other documents, and say who would gain or lose what.",
            ),
            ("diff", "differing:diff", "Say what separates two directories of policy documents, and whom it helps."),
            (
                "explain",
                "explaining:explain",
                "Say what a request would get from policy documents, without making it.",
            ),
        ),
    ),
)
HOLDS: Final = (
    ("set", "audit_private:hold_set", "Set a hold: nothing that was recorded in its time is erased or pruned."),
    ("list", "audit_private:hold_list", "List holds, released ones too."),
    ("release", "audit_private:hold_release", "Release a hold that somebody else set."),
)
USERS: Final = (
    ("add", "admin:add", "Add a local account."),
    ("list", "admin:list_", "List accounts."),
    ("show", "admin:show", "Show one account."),
    ("change", "admin:change", "Change name, groups or roles of an account."),
    (
        "reset-password",
        "admin:reset_password",
        "Give an account a new password, printed this once; its sign-ins and tokens end.",
    ),
    ("disable", "admin:disable", "Disable an account: it cannot sign in, its tokens and grants end."),
    ("enable", "admin:enable", "Enable an account again."),
)
RECOVERY: Final = (
    (
        "reset-admin",
        "local:reset_admin",
        "Give the account admin a new password, on the machine of a server that is stopped.",
    ),
)
KEYS: Final = (
    (
        "rotate",
        "local:rotate_key",
        "Put another key in the place of one, on the machine of a server that is stopped.",
    ),
)
PERSONS: Final = (
    ("list", "persons:list_", "List people with their accounts and managers."),
    ("change", "persons:change", "Name the manager of a person."),
)
PEOPLE_GROUPS: Final = (
    ("list", "admin:list_groups", "List groups with their members."),
    ("add", "admin:add_to_group", "Put accounts into a group; it needs no other making."),
    ("remove", "admin:remove_from_group", "Take accounts out of a group."),
)


NOTICES: Final = (
    ("list", "notices:list_", "List notices, newest first: to whom, on which channel, and what became of them."),
    ("test", "notices:test", "Send a test message on a channel, now."),
    ("retry", "notices:retry", "Try again what was given up: it has another day."),
)


def command_tree(words: Container[str] = ()) -> App:
    """Return the application with all commands, none of them loaded.

    Args:
        words: of the command line; a command among them shows its whole docstring in its help.
    """
    app = App(
        name="loglease",
        help="Just-in-time access to debug logs.",
        version=__version__,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(negative=(), show_default=False),
        help_format="plaintext",
    )
    app["--help"].group = _HELP
    app["--version"].group = _HELP
    for group, name, place, text in COMMANDS:
        app.command(f"{_HERE}.{place}", name=name, group=group, help=_whole(place) if name in words else text)
    for group, name, text, commands in GROUPS:
        app.command(_group(name, text, commands, group, words))
    app["audit"].command(_group("hold", "Holds: what nobody erases or prunes.", HOLDS, None, words))
    admin = App(name="admin", help="People and their accounts.", group=_LOOK)
    admin.command(_group("user", "Local accounts.", USERS, None, words))
    admin.command(_group("person", "People behind accounts.", PERSONS, None, words))
    admin.command(_group("group", "Groups of people.", PEOPLE_GROUPS, None, words))
    admin.command(_group("notify", "Who is told, and on which channels.", NOTICES, None, words))
    admin.command(_group("key", "Keys of a server, on its machine.", KEYS, None, words))
    for name, place, text in RECOVERY:
        admin.command(f"{_HERE}.{place}", name=name, help=_whole(place) if name in words else text)
    app.command(admin)
    app.command(f"{_HERE}.completion:words", name="complete-words", show=False)
    return app


def _group(
    name: str, text: str, commands: tuple[tuple[str, str, str], ...], group: Group | None, words: Container[str]
) -> App:
    app = App(name=name, help=text, group=group)
    for command, place, help_text in commands:
        app.command(f"{_HERE}.{place}", name=command, help=_whole(place) if command in words else help_text)
    return app


def _whole(place: str) -> str:
    """Return the docstring of a command with whole paragraphs, which help wraps to the width that there is."""
    module, _, name = place.partition(":")
    text = inspect.getdoc(getattr(import_module(f"{_HERE}.{module}"), name)) or ""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))

"""Wrong calls of the command line, each with the words and the exit code that it gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Cli
from tests.cli.fake_server import FakeServer, problem
from tests.cli.resources import GRANT, OFFERS, REQUEST, grant_shown, request_shown, terms

SELECTOR = '{service="pay-api"}'
USAGE = "next: loglease {} --help\n"

WRONG = [
    (
        "a command that is none",
        ["reqest", SELECTOR],
        2,
        'error: Unknown command "reqest". Did you mean "request"?',
        "next: loglease --help\n",
    ),
    (
        "a flag that is none",
        ["request", SELECTOR, "--resaon", "x"],
        2,
        "error: Unknown option: --resaon. Did you mean --reason? [usage]",
        USAGE.format("request"),
    ),
    (
        "a flag without its value",
        ["logs", "--since"],
        2,
        'error: Command "logs" parameter --since requires an argument. [usage]',
        USAGE.format("logs"),
    ),
    (
        "a number that is none",
        ["request", SELECTOR, "--limit-lines", "many"],
        2,
        'error: Invalid value for --limit-lines: unable to convert "many" into int. [usage]',
        USAGE.format("request"),
    ),
    (
        "a duration in words",
        ["request", SELECTOR, "--for", "half an hour"],
        2,
        "error: 'half an hour' is not a duration. [duration_invalid]\n",
        "next: Write it like 90s, 30m, 2h30m or 7d, largest unit first.\n",
    ),
    (
        "a time without a zone",
        ["request", SELECTOR, "--from", "2026-11-23T09:00:00"],
        2,
        "error: '2026-11-23T09:00:00' is not a time such as 2026-11-23T09:30:00Z. [malformed]\n",
        "next: Write a date, a time and a zone.\n",
    ),
    (
        "a selector that is broken",
        ["request", '{service="pay-api"', "--reason", "x"],
        2,
        "error: The selector is broken at column 19: expected ',' or '}', found the end. [scope_invalid]\n",
        'next: Write it like {service="pay-api",env="prod"}.\n',
    ),
    (
        "a selector that nobody can compare",
        ["request", '{service=~"pay-(api|web)"}'],
        2,
        "error: service=~'pay-(api|web)' cannot be compared with what a policy allows. [scope_undecidable]\n",
        'next: Use k="v", k=~"a|b", k=~"prefix.*", k!="v" or k!~"prefix.*".\n',
    ),
    (
        "no selector at all",
        ["request", "--reason", "x"],
        2,
        "error: What do you want to read? [usage]\n",
        "next: loglease request '{service=\"pay-api\"}', or --like req_…\n",
    ),
    (
        "a level that is none",
        ["request", SELECTOR, "--level", "loud"],
        2,
        "error: 'loud' is no level. [usage]\n",
        "next: Choose one of trace, debug, info, warn, error, critical, fatal.\n",
    ),
    (
        "a size that is none",
        ["request", SELECTOR, "--limit-bytes", "lots"],
        2,
        "error: --limit-bytes: 'lots' is no size. [usage]\n",
        "next: Write it like 1000, 64KiB or 256MiB.\n",
    ),
    (
        "an identifier of another kind",
        ["use", REQUEST],
        2,
        f"error: {REQUEST} is no grant. [usage]\n",
        "next: Give an identifier that begins with grt_.\n",
    ),
    (
        "a request that is not there, or not for the caller",
        ["requests", REQUEST],
        7,
        "error: There is none for you. [not_found]\n",
        "next: loglease requests\ntrace: 4bf9\n",
    ),
    (
        "a narrowing that is none",
        ["approve", REQUEST, "--narrow", "only the errors"],
        2,
        "error: --narrow is broken at column 1. [usage]\n",
        "next: Write it like --narrow '{env=\"prod\"} level=error window=15m live=no for=10m lines=1000'.\n",
    ),
    (
        "a digest of something else",
        ["approve", REQUEST, "--digest", "00", "--yes"],
        8,
        f"error: The request has the digest {terms()['digest']}, not the one you expect. [digest_mismatch]\n",
        f"next: Look at it again: loglease requests {REQUEST}\n",
    ),
    (
        "a question with nobody to answer",
        ["approve", REQUEST, "--no-input"],
        2,
        "error: Approve exactly this? There is no terminal to ask on. [input_needed]\n",
        "next: Repeat the command with --yes.\n",
    ),
    (
        "two starts",
        ["logs", "--since", "1h", "--from", "2026-11-23T09:00:00Z"],
        2,
        "error: --since and --from are two starts. [usage]\n",
        "next: Give one of them.\n",
    ),
    (
        "something that cannot be locked",
        ["lock", "add", "planet:earth", "--reason", "x"],
        2,
        "error: 'planet:earth' cannot be locked. [invalid_field]\n",
        (
            "next: Write kind:name with one of grant, request, principal, person, group, token, policy, source, "
            "target, everything.\n"
        ),
    ),
    (
        "a revocation of nothing",
        ["revoke", "--reason", "x"],
        2,
        "error: Say what to revoke: identifiers, or one of --person, --group, --source, --policy. [usage]\n",
        'next: loglease revoke grt_… --reason "incident over"\n',
    ),
    (
        "a right that is none",
        ["token", "create", "ci", "--right", "logs"],
        2,
        "error: 'logs' is no right. [usage]\n",
        (
            "next: Choose from requests.read, requests.write, logs.read, policy.read, policy.write, audit.read, "
            "elevations.run, admin.\n"
        ),
    ),
    (
        "a server that is no address",
        ["whoami", "--server", "logs.example.com"],
        2,
        "error: 'logs.example.com' is no server address. [configuration_invalid]\n",
        "next: Write it like https://logs.example.com.\n",
    ),
    (
        "a password over plain HTTP",
        ["login", "alice", "--server", "http://logs.example.com"],
        2,
        "error: http://logs.example.com would carry passwords and tokens in the clear. [configuration_invalid]\n",
        "next: Use https://, or set insecure_http = true in a context of the configuration file.\n",
    ),
    (
        "a password that is not there",
        ["login", "alice", "--password-stdin"],
        2,
        "error: Standard input holds no password. [input_needed]\n",
        "next: Send it as one line.\n",
    ),
    (
        "a configuration that is not there",
        ["whoami", "--config", "/nowhere/config.toml"],
        2,
        "error: There is no file /nowhere/config.toml. [configuration_invalid]\n",
        "next: Check --config.\n",
    ),
    (
        "an output that is none",
        ["whoami", "--output", "xml"],
        2,
        'error: Invalid value "xml" for --output. Choose from: "table", "json", "markdown". [usage]\n',
        "next: loglease --help\n",
    ),
]


@pytest.fixture(autouse=True)
def _ready(server: FakeServer) -> None:
    nothing = problem(404, "not_found", "There is none for you.", next=[{"text": "loglease requests"}])
    server.on("GET", "/sources", {"items": [{"id": "files"}]})
    server.on("POST", "/offers", OFFERS)
    server.on("GET", "/grants", {"items": [grant_shown()]})
    server.on("GET", f"/grants/{GRANT}", grant_shown())
    server.on("GET", f"/requests/{REQUEST}", request_shown())
    server.on("GET", f"/requests/{REQUEST}/terms", terms())
    server.on("GET", f"/requests/{REQUEST}/timeline", nothing)


@pytest.mark.parametrize(
    ("words", "code", "error", "remedy"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_a_wrong_call_says_what_was_wrong_and_what_to_do(
    cli: Cli, server: FakeServer, words: list[str], code: int, error: str, remedy: str
) -> None:
    found = cli(*words)
    assert found.code == code, found.err
    assert found.err.startswith(error), found.err
    assert found.err.endswith(remedy), found.err
    assert not [call for call in server.calls if call.method != "GET" and call.path != "/offers"], "nothing was changed"


@pytest.mark.parametrize("words", [["nonsense"], ["--output", "xml"], ["request", "--level", "loud", SELECTOR]])
def test_with_json_a_mistake_is_a_problem_of_the_same_form(cli: Cli, words: list[str]) -> None:
    import json

    found = (
        cli("--output", "json", *words) if words != ["--output", "xml"] else cli("whoami", "--output=json", "--nope")
    )
    assert (found.code, found.out) == (2, "")
    body = json.loads(found.err)
    assert body["code"] == "usage"
    assert body["detail"]
    assert body["next"][0]["text"]


def test_without_a_sign_in_the_next_step_is_to_sign_in(cli: Cli) -> None:
    cli.store().forget()
    found = cli("requests")
    assert found.code == 11
    assert found.err.endswith("[not_authenticated]\nnext: loglease login\n")


def test_a_misspelt_key_of_the_configuration_does_not_do_nothing(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "config" / "loglease" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[contexts.default]\nouput = "json"\n')
    found = cli("requests")
    assert found.code == 2
    assert found.err == (
        f"error: 'ouput' in context default of {file} is not known. [configuration_invalid]\n"
        "next: Did you mean output?\n"
    )

"""`policy explain`: what somebody would get from a directory of documents, and whom a scope would be offered to."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Cli, Result
from tests.cli.fake_server import FakeServer
from tests.policy.world import CATALOG, ORGANISATION, files_of

ROOT = Path(__file__).parents[2]
HOW_TO = (ROOT / "docs/how-to/write-a-policy.md").read_text()
BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
SHOWN = re.compile(r"^\$ loglease (policy explain (?:[^\n]*\\\n)*[^\n]*)\n(.*?)(?=^\$ |^```)", re.DOTALL | re.MULTILINE)

NOW = ("--at", "2026-11-23T09:30:00Z")
MARIA = ("--as", "maria", "--group", "payments-eng", "--group", "engineering")
PROD = ("--source", "prod-logs")
API = (*PROD, "--labels", '{env="prod",service="pay-api",data_class="internal"}', "--level", "debug", "--window", "2h")
WORDS = (
    "debug and above of service pay-api in data_class internal in env prod from prod-logs, "
    "events 07:30:00 to 09:30:00 UTC on 2026-11-23, masked as the offer says"
)
WHY = ("--reason", "cards fail at checkout since nine", "--ticket", "PAY-7")
ASSUMED = "Assumed: for each name that approves there are enough people other than maria. --people takes real ones.\n"


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    for name, content in files_of(*ORGANISATION).items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "policies"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    file = tmp_path / "people.yaml"
    file.write_text("maria: {groups: [payments-eng, engineering]}\nnoor: {groups: [payments-leads]}\n")
    return file


@pytest.fixture
def explain(cli: Cli, documents: Path) -> Any:
    """Run the command on the documents, at an instant that stands still."""

    def run(*arguments: str) -> Result:
        return cli("policy", "explain", str(documents), *(() if "--at" in arguments else NOW), *arguments)

    return run


def refused(found: Result) -> list[str]:
    """Return what a command that could not run said."""
    assert (found.code, found.out) == (2, "")
    return found.err.splitlines()


def test_an_offer_is_explained_without_a_server(cli: Cli, server: FakeServer, documents: Path) -> None:
    cli.store().forget()
    found = cli("policy", "explain", str(documents), *NOW, *MARIA, *API, *WHY, "--for", "8h")
    assert found.code == 0
    lines = found.out.splitlines()
    assert lines[0].startswith("OFFERED 1  bundle 0 sha256:")
    assert lines[1:5] == [
        f" asked       maria: {WORDS}, for 8h",
        " guardrails  denied (no-restricted, does not apply)",
        " guardrails  duration at most 4h, at most 7d back, lines at most 1,000,000, bytes at most 2,000,000,000, redaction at least secrets (org-floor)",
        " offer 1     payments-prod-debug: 2h, 1 approval",
    ]
    assert lines[5:8] == [
        " payments-prod-debug   main.yaml:11:1",
        "   ok  who     group:payments-eng;  scope entry 1;  profile pii-default@1",
        "   ok  plan    1 of approvers:payments-approvers;  shape 2h (asked 8h, limit of the policy)",
    ]
    assert found.err == ASSUMED
    assert not server.calls


def test_a_denial_is_an_answer_and_tells_all_that_is_known(explain: Any) -> None:
    found = explain(*MARIA, *API)
    assert found.code == 0
    assert found.out.startswith("DENIED  bundle 0 ")
    assert (
        "   no  ask     the reason is shorter than 20 characters  -> say in a sentence why you need this\n"
        "   no  ask     a ticket is missing                       -> name a ticket of tickets like PAY-[0-9]{1,6}\n"
        "   --  plan    would be 1 of approvers:payments-approvers;  shape 30m\n"
    ) in found.out
    assert "   no  who     is not for this principal                -> ask the owner\n" in found.out
    assert " next        fill_input, attach_ticket\n" in found.out


def test_a_smaller_scope_is_proposed(explain: Any) -> None:
    found = explain(*MARIA, *WHY, *PROD, "--labels", '{service="pay-api"}', "--level", "debug", "--window", "2h")
    assert " narrow to   debug and above of service pay-api in data_class internal or pii in env prod" in found.out
    assert " next        narrow" in found.out


def test_a_version_of_a_profile_is_the_one_that_documents_pin(explain: Any, documents: Path) -> None:
    file = documents / "main.yaml"
    file.write_text(file.read_text().replace("redaction: pii-default\n", "redaction: pii-default@7\n"))
    assert "profile pii-default@7\n" in explain(*MARIA, *API, *WHY, "--profile", "pii-default@7").out
    other = explain(*MARIA, *API, *WHY, "--profile", "pii-default@8").out
    assert " because     There is no redaction profile 'pii-default@8'.\n" in other


def test_programs_get_the_explanation_as_json(explain: Any) -> None:
    found = explain(*MARIA, *API, *WHY, "--output", "json")
    body = json.loads(found.out)
    assert (found.code, found.err) == (0, "")
    assert body["outcome"] == "offer"
    assert body["offers"][0]["duration"] == "PT30M"
    assert body["policies"][0]["steps"][0] == {"step": "who", "ok": True, "text": "group:payments-eng"}
    assert body["assumed"] == ["approvers"]


def test_nothing_is_said_to_be_assumed_where_the_answer_does_not_hang_on_it(explain: Any) -> None:
    found = explain("--as", "lee", "--group", "contractors", *API, *WHY)
    assert (found.code, found.err) == (0, "")
    assert "assumed" not in json.loads(explain("--as", "lee", *API, "--output", "json").out)


def test_the_flags_of_a_request_say_what_is_asked(explain: Any) -> None:
    scope = ("--labels", '{env="dev"}', "--source", "staging-logs")
    times = ("--from", "2026-11-23T08:00:00Z", "--to", "2026-11-23T09:00:00Z")
    found = explain(*MARIA, *scope, *times, "--contains", "order", "--contains", "paid", "--profile", "strict",
                    "--level", "warn", "--for", "20m", "--reason", "trying", "--output", "json")  # fmt: skip
    asked = json.loads(found.out)["asked"]
    assert asked["duration"] == "PT20M"
    assert asked["scopes"][0]["words"] == (
        "warn and above of env dev from staging-logs, events 08:00:00 to 09:00:00 UTC on 2026-11-23, "
        'only lines with "order" and "paid", masked by strict'
    )
    live = json.loads(explain(*MARIA, *scope, "--output", "json").out)["asked"]["scopes"][0]
    assert live["words"].endswith(
        "events from 2026-11-23 08:30:00 on, live until the grant ends, masked as the offer says"
    )
    span = json.loads(explain(*MARIA, *scope, "--window", "15m", "--to", times[3], "--output", "json").out)
    assert "events 08:45:00 to 09:00:00 UTC" in span["asked"]["scopes"][0]["words"]


def test_it_is_asked_now_unless_another_time_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loglease.cli.policy_files.time.time_ns", lambda: 1_795_426_200_123_456_789)
    found = cli("policy", "explain", "--as", "maria", "--all-streams", "--window", "1h", "--output", "json")
    scope = json.loads(found.out)["asked"]["scopes"][0]
    assert (scope["from_ns"], scope["to_ns"]) == ("1795422600123456000", "1795426200123456000")


def test_the_policy_that_ships_is_taken_without_a_directory(cli: Cli) -> None:
    found = cli("policy", "explain", "--as", "eve", "--all-streams", "--reason", "looking around", *NOW)
    assert " offer 1     default: 30m, 1 approval\n" in found.out
    assert cli("policy", "explain", "--as", "bot", "--kind", "agent", "--all-streams").out.startswith("DENIED")


def test_people_decide_whether_anybody_can_approve(explain: Any, people: Path) -> None:
    asked = ("--people", str(people), "--as", "maria", *API, *WHY)
    found = explain(*asked)
    assert found.out.startswith("OFFERED 1")
    assert found.err == ""
    people.write_text("maria: {groups: [payments-eng, payments-leads]}\n")
    alone = explain(*asked)
    assert alone.code == 0
    assert "   no  plan    Nobody but you may approve this." in alone.out
    assert explain(*MARIA, "--group", "payments-leads", *API, *WHY).out.startswith("OFFERED 1")


def test_who_asks_has_to_be_among_the_people(explain: Any, people: Path, tmp_path: Path) -> None:
    listed = ("--people", str(people))
    assert refused(explain(*listed, "--as", "marla", *API)) == [
        f"error: There is no person 'marla' in {people}. [usage]",
        "next: Did you mean 'maria'? There are: maria, noor.",
    ]
    for flags in (("--group", "sre"), ("--kind", "human")):
        assert refused(explain(*listed, "--as", "maria", *flags, *API)) == [
            f"error: {people} says what maria is, and in which groups. [usage]",
            "next: Leave out --group and --kind.",
        ]
    missing = tmp_path / "none.yaml"
    assert refused(explain("--people", str(missing), "--as", "maria", *API))[0] == (
        f"error: {missing}: No such file or directory. [usage]"
    )


def test_mistakes_in_the_people_end_with_three(explain: Any, people: Path) -> None:
    people.write_text("maria: {groups: [payment-eng]}\n")
    found = explain("--people", str(people), "--as", "maria", *API)
    assert (found.code, found.out) == (3, "")
    assert "people.yaml:1:18: error[P302] group 'payment-eng' is not in the Catalog" in found.err
    assert "did you mean 'payments-eng'?" in found.err
    assert found.err.endswith("1 error, 0 warnings\n")


def test_mistakes_in_the_documents_end_with_three(cli: Cli, documents: Path) -> None:
    file = documents / "main.yaml"
    file.write_text(file.read_text().replace("lookback: 24h", "lookbak: 24h"))
    for question in (("--as", "maria"), ("--who-can",)):
        found = cli("policy", "explain", str(documents), *question, *API)
        assert (found.code, found.out) == (3, "")
        assert "did you mean 'lookback'?" in found.err


@pytest.mark.parametrize(
    ("arguments", "error", "following"),
    [
        (API, "Who asks?", "Give --as NAME and its groups with --group, or --who-can for everybody."),
        (("--as", "", *API), "Who asks?", "Give --as NAME and its groups with --group, or --who-can for everybody."),
        (
            (*MARIA, *PROD),
            "What is to be read?",
            "Give --labels '{service=\"pay-api\"}', or --all-streams for all of them.",
        ),
        (
            ("--as", "maria", "--group", "payment-eng", *API),
            "There is no group 'payment-eng' in the Catalog.",
            "Did you mean 'payments-eng'? There are: contractors, engineering, everybody, payments-eng, payments-leads, privacy, sre, sre-leads.",
        ),
        (
            (*MARIA, "--source", "prod-log", "--all-streams"),
            "There is no source 'prod-log' in the Catalog.",
            "Did you mean 'prod-logs'? There are: prod-logs, staging-logs.",
        ),
        (
            (*MARIA, "--source", "billing", "--all-streams"),
            "There is no source 'billing' in the Catalog.",
            "There are: prod-logs, staging-logs.",
        ),
        (
            (*MARIA, "--all-streams"),
            "The source is not named.",
            "Give --source; there are: prod-logs, staging-logs.",
        ),
        (
            (*MARIA, *API, "--profile", "pii-defualt"),
            "There is no redaction profile 'pii-defualt' in the Catalog.",
            "Did you mean 'pii-default'? There are: odd, pii-default, raw, secrets, strict.",
        ),
        (
            (*MARIA, *PROD, "--labels", '{service=~"pay-.*-api"}'),
            "service=~'pay-.*-api' cannot be compared with what a policy allows.",
            'Use k="v", k=~"a|b", k=~"prefix.*", k!="v" or k!~"prefix.*".',
        ),
        (
            (*MARIA, *PROD, "--labels", "env=prod"),
            "The selector is broken at column 1: expected '{', found 'env=prod'.",
            'Write it like {service="pay-api",env="prod"}.',
        ),
        (
            (*MARIA, *PROD, "--labels", "{}"),
            "The selector constrains nothing.",
            "Name labels, or ask for --all-streams in so many words.",
        ),
        (
            (*MARIA, *API, "--all-streams"),
            "All streams, but with a selector?",
            "Leave one of the two out.",
        ),
        ((*MARIA, *API, "--from", "-2h"), "--from takes a time, not '-2h'.", "Count back with --window 2h."),
        (
            (*MARIA, *API, "--from", "2026-11-23T08:00:00Z"),
            "The event window has two starts.",
            "Give --from or --window, not both.",
        ),
        (
            (*MARIA, *API, "--to", "2026-11-23T08:00:00Z", "--live"),
            "A live window has no end.",
            "Give --live or --to, not both.",
        ),
        (
            (*MARIA, *PROD, "--all-streams", "--from", "2026-11-23T09:30:01Z"),
            "The event window ends before it starts.",
            "Check --from and --to.",
        ),
        (
            (*MARIA, *API, "--for", "8 hours"),
            "'8 hours' is not a duration.",
            "Write it like 90s, 30m, 2h30m or 7d, largest unit first.",
        ),
        (
            (*MARIA, *API, "--at", "2026-11-23 09:30"),
            "'2026-11-23 09:30' is not a time such as 2026-11-23T09:30:00Z.",
            "Write a date, a time and a zone.",
        ),
        (
            (*MARIA, *PROD, "--all-streams", "--level", "verbose"),
            "'verbose' is no level.",
            "Choose one of trace, debug, info, warn, error, critical, fatal.",
        ),
        (
            ("--who-can", "--as", "maria", *API),
            "--who-can asks for nobody in particular, and leaves reason and ticket aside.",
            "Leave out --as, --group, --kind, --people, --reason and --ticket.",
        ),
    ],
)
def test_a_question_without_sense_is_refused_with_its_remedy(
    explain: Any, arguments: tuple[str, ...], error: str, following: str
) -> None:
    said = refused(explain(*arguments))
    assert said[0].startswith(f"error: {error} [")
    assert said[1:] == [f"next: {following}"]


def test_labels_that_no_policy_can_mean_are_named(explain: Any) -> None:
    found = explain(*MARIA, *PROD, "--labels", '{enw="prod",env="prodd"}')
    assert found.out.startswith("DENIED")
    assert "'prodd' is no declared value of env: did you mean 'prod'?\n" in found.err
    assert "Label 'enw' is not in the Catalog: did you mean 'env'?\n" in found.err


def test_documents_without_a_policy_deny_everything(cli: Cli, documents: Path) -> None:
    (documents / "main.yaml").write_text(CATALOG)
    asked = ("policy", "explain", str(documents), *NOW, *API)
    alone = cli(*asked, *MARIA)
    assert alone.code == 0
    assert alone.out.splitlines()[2:] == [" because     No policy offers this to you.", " next        ask_owner"]
    nobody = cli(*asked, "--who-can")
    assert (nobody.code, nobody.err) == (0, "No policy: everything is denied.\n")
    assert json.loads(cli(*asked, "--who-can", "--output", "json").out)["policies"] == []


def test_who_can_lists_what_those_whom_a_policy_is_for_would_get(explain: Any) -> None:
    found = explain("--who-can", *API, "--for", "8h")
    assert found.code == 0
    assert found.out == (
        f"Asked      {WORDS}, for 8h\n"
        "POLICY               FOR                 OUTCOME  TIME  MASKED BY    WHAT\n"
        "payments-prod-debug  group:payments-eng  review   2h    pii-default  1 of approvers:payments-approvers\n"
        "sre-prod             group:sre           deny                        scope: not inside one entry of the policy\n"
        "staging-open         group:engineering   deny                        scope: not inside one entry of the policy\n"
    )
    assert found.err.startswith("Left aside: reason, ticket, ")


def test_who_can_names_kinds_other_than_people(cli: Cli, documents: Path) -> None:
    file = documents / "main.yaml"
    file.write_text(
        file.read_text().replace("who: {any_of: [group:sre]}", "who: {kinds: [agent], any_of: [group:sre]}")
    )
    found = cli("policy", "explain", str(documents), "--who-can", *NOW, *API[:4], "--level", "info", "--window", "2h")
    assert "sre-prod             group:sre (agent)   review   1h    pii-default  1 of group:sre-leads\n" in found.out


def test_who_can_is_json_for_programs(explain: Any) -> None:
    body = json.loads(explain("--who-can", *API, "--output", "json").out)
    assert body["asked"]["scopes"][0]["source"] == "prod-logs"
    assert [(one["id"], one["outcome"]) for one in body["policies"]] == [
        ("payments-prod-debug", "review"),
        ("sre-prod", "deny"),
        ("staging-open", "deny"),
    ]


def test_the_how_to_shows_what_is_printed(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    documents = [one for one in BLOCK.findall(HOW_TO) if "kind: PolicyTest" not in one]
    (policies / "policies.yaml").write_text("---\n".join(documents))
    monkeypatch.chdir(tmp_path)
    shown = SHOWN.findall(HOW_TO)
    assert len(shown) == 2
    for command, printed in shown:
        found = cli(*shlex.split(command.replace("\\\n", " ")))
        assert unhashed(found.out + found.err) == unhashed(printed)


def unhashed(text: str) -> str:
    """Leave out the hash, which later versions of the format change."""
    return re.sub(r"sha256:\w+", "sha256:", text)

"""`rules check`, `rules test`, `rules list`, and `redact` with rules of one's own."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from loglease.cli.main import run_command

PACK = """\
pack: shop
version: 1
format: loglease-rules/1
rules:
  - id: shop.session
    class: secret.session
    label: session
    pattern: '\\bacs_(?P<value>[A-Za-z0-9]{12}_[0-9a-f]{8,64})'
    mask: value
    validate: [{entropy: {min: 3.2}}]
    near: {words: [sid], within: 12}
    examples: ['sid=acs_«Qm3xT9bZ0aLw_0b1c9f3e»; path=/']
    non_examples: ['acs_documentation_0000']
  - id: shop.pin
    kind: key
    class: credential.pin
    label: shop-pin
    severity: critical
    keys: [shop-pin]
    examples: ['X-Shop-Pin: «4821»']
"""
PROFILE = "profile: shop\nversion: 3\npacks: [pci@1, shop@1]\nclasses: {pci.card: {partial: last4}}\n"


def ran(*words: object, text: bytes = b"") -> tuple[int, str, str]:
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    code = run_command(
        [str(word) for word in words], environment={}, stdin=io.TextIOWrapper(io.BytesIO(text)), stdout=out, stderr=err
    )
    out.seek(0)
    return code, out.read(), err.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.yaml").write_text(PACK)
    (tmp_path / "profile.yaml").write_text(PROFILE)
    return tmp_path


def test_a_set_that_a_server_would_take_is_ok(folder: Path) -> None:
    code, out, err = ran("rules", "check", folder)
    assert (code, "ok: 1 pack, 2 rules, 1 profile, 0 errors." in err) == (0, True)
    assert [line.split()[0] for line in out.splitlines()] == ["RULE", "shop.session", "shop.pin"]
    body = json.loads(ran("rules", "check", folder, "--output", "json")[1])
    assert (body["problems"], body["packs"], set(body["profiles"])) == ([], ["shop@1"], {"shop@3"})
    assert [one["rule"] for one in body["costs"]] == ["shop.session", "shop.pin"]


def test_each_mistake_is_shown_with_its_place(folder: Path) -> None:
    (folder / "shop.yaml").write_text(PACK.replace("{8,64}", "+").replace("keys: [shop-pin]", "keys: []"))
    code, out, err = ran("rules", "check", folder)
    assert code == 3
    assert f"{folder}/shop.yaml:8:55: shop.session: an unbounded repeat" in out
    assert "^ = help: say how often at most" in out
    assert f"{folder}/shop.yaml:19:11: shop.pin: it has no `keys`" in out
    assert err == "2 errors; nothing of this would be loaded.\n"
    code, out, _ = ran("rules", "check", folder, "--output", "json")
    problems = json.loads(out)["problems"]
    assert (code, [one["line"] for one in problems]) == (3, [8, 19])


def test_a_tripwire_that_misses_its_own_rule_is_an_error(folder: Path) -> None:
    (folder / "shop.yaml").write_text(PACK.replace("mask: value\n", "mask: value\n    tripwire: 'acs_[A-Z]'\n"))
    code, out, _ = ran("rules", "check", folder)
    assert (code, "shop@1: shop.session: hyperscan: its tripwire does not fire where it matches" in out) == (3, True)


def test_a_dear_rule_is_a_warning(folder: Path, tmp_path: Path) -> None:
    dear = PACK.replace("\\bacs_(?P<value>[A-Za-z0-9]{12}_[0-9a-f]{8,64})", "[a-z] (?P<value>[a-z]{2})")
    dear = dear.replace("    validate: [{entropy: {min: 3.2}}]\n", "")
    dear = dear.replace("sid=acs_«Qm3xT9bZ0aLw_0b1c9f3e»; path=/", "sid1a «bc»").replace("acs_documentation_0000", "0")
    (folder / "shop.yaml").write_text(dear)
    lines = tmp_path / "lines"
    lines.write_text("a sid in small letters as far as one can see\n" * 2_000)
    code, out, err = ran("rules", "check", folder, "--text", lines)
    assert code == 0, out
    assert "warning: shop.session costs" in err
    assert "2,000" in out


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("version: 1", "version: 2", "equal"),
        ("keys: [shop-pin]", "keys: [shop-pin, shop_code]", "stricter"),
        ("    near: {words: [sid], within: 12}\n", "", "stricter"),
        ("{8,64}", "{8,65}", "incomparable"),
        ("[{entropy: {min: 3.2}}]", "[{entropy: {min: 3.2}}, card]", "weaker"),
    ],
)
def test_old_and_new_are_compared(folder: Path, tmp_path: Path, before: str, after: str, verdict: str) -> None:
    new = tmp_path / "new"
    new.mkdir()
    assert before in PACK
    text = PACK.replace(before, after, 1)
    if "card" in after:
        text = text.replace("sid=acs_«Qm3xT9bZ0aLw_0b1c9f3e»; path=/", "sid=acs_«Qm3xT9bZ0aLw_0b1c9f3e»")
    (new / "shop.yaml").write_text(text)
    code, out, _ = ran("rules", "check", new / "shop.yaml", "--against", folder / "shop.yaml", "--output", "json")
    if "card" in after:
        assert code == 3, "its example is no card"
        return
    assert (code, json.loads(out)["against"]["verdict"]) == (0, verdict)
    shown = ran("rules", "check", new / "shop.yaml", "--against", folder / "shop.yaml")[1]
    assert f"Against the old rules: {verdict}" in shown


def test_examples_run_on_every_engine(folder: Path) -> None:
    code, out, err = ran("rules", "test", folder)
    assert (code, err) == (0, "2 rules on hyperscan, re2, python, 0 failed.\n")
    assert out.splitlines() == ["ok    shop.session: 1 found, 1 left alone", "ok    shop.pin: 1 found, 0 left alone"]


def test_a_failure_names_rule_example_engine_and_bytes(folder: Path) -> None:
    (folder / "shop.yaml").write_text(PACK.replace("«4821»", "4«821»"))
    code, out, _ = ran("rules", "test", folder)
    assert code == 4
    assert "FAIL  shop.pin: example 1: 12-16 is masked; marked is 13-16 [hyperscan]" in out
    assert "ok    shop.session" in out
    code, out, _ = ran("rules", "test", folder, "--output", "json")
    failures = json.loads(out)["failures"]
    assert {one["engine"] for one in failures} == {"hyperscan", "re2", "python"}
    assert {(one["rule"], one["place"]) for one in failures} == {("shop.pin", "examples/0")}


def test_what_packs_find_in_a_file(folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "log"
    text.write_text("a sid=acs_Qm3xT9bZ0aLw_0b1c9f3e\nb acs_Qm3xT9bZ0aLw_0b1c9f3e\n")
    code, _, err = ran("rules", "test", folder, "--text", text)
    assert code == 0
    assert f"{text}:1:10-31 shop.session (secret.session) mask [raw]\n" in err
    assert f"{text}:2:6-27 shop.session (secret.session) rejected by near: none of its words stands before [raw]" in err
    assert "Qm3xT9bZ0aLw" not in err
    assert "Qm3xT9bZ0aLw_0b1c9f3e" in ran("rules", "test", folder, "--text", text, "--show-values")[2]


def test_rules_are_listed_with_their_treatment(folder: Path) -> None:
    rows = json.loads(ran("rules", "list", folder, "--profile", "shop", "--output", "json")[1])["rules"]
    treatments = {row["rule"]: row["treatment"] for row in rows}
    assert treatments["pci.card"] == "partial last4"
    assert treatments["shop.pin"] == "mask"
    assert {row["pack"] for row in rows} == {"pci@1", "shop@1"}
    code, out, err = ran("rules", "list")
    assert (code, "secrets.github" in out, "strict@1" in err) == (0, True, True)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["check"], "There is no PATH."),
        (["check", "/nowhere.yaml"], "No such file"),
        (["test", "/tmp/empty-of-yaml"], "[usage]"),
        (["list", "--profile", "shp"], "there is no redaction profile 'shp'"),
        (["check", "{folder}", "--plugin", "nope"], "[plugin_invalid]"),
        (["check", "{folder}", "--against", "{folder}/log"], "[usage]"),
    ],
)
def test_what_cannot_be_run_says_why(folder: Path, words: list[str], error: str) -> None:
    code, _, err = ran("rules", *(word.format(folder=folder) for word in words))
    assert (code, error in err) == (2, True), err


def test_redact_uses_a_profile_of_the_rules(folder: Path) -> None:
    text = b"sid=acs_Qm3xT9bZ0aLw_0b1c9f3e card 4111 1111 1111 1111\n"
    code, out, err = ran("redact", "--rules", folder, "--profile", "shop", text=text)
    assert (code, out, err) == (0, "sid=acs_⟦session⟧ card ⟦card …1111⟧\n", "")
    assert ran("redact", "--rules", folder / "shop.yaml", "--profile", folder / "profile.yaml", text=text)[1] == out
    _, out, err = ran("redact", "--rules", folder, "--profile", "secrets", text=text)
    assert "4111 1111" in out
    assert "does not name shop@1" in err


def test_redact_with_bad_rules_prints_no_text(folder: Path) -> None:
    (folder / "shop.yaml").write_text(PACK.replace("{8,64}", "+"))
    code, out, err = ran("redact", "--rules", folder, "--profile", "shop", text=b"x\n")
    assert (code, out) == (2, "")
    assert "[rules_invalid]" in err
    assert f"{folder}/shop.yaml:8:55" in err


def test_explain_tells_view_and_what_was_turned_down() -> None:
    text = b"card 4111 1111 1111 1112 pass=none mail bob%40example.com k=cGFzc3dvcmQ9aHVudGVyMmhvcnNl\n"
    _, out, err = ran("redact", "--explain", text=text)
    assert "-:1:5-24 pci.card (pci.card) rejected by card: checksum [raw]\n" in err
    assert "rejected by except [raw]" in err
    assert "pii-core.email (pii.email) pseudonym [percent]\n" in err
    assert "[base64]\n" in err
    assert "bob" not in err + out
    rows = [json.loads(line) for line in ran("redact", "--explain", "--output", "json", text=text)[2].splitlines()]
    assert {row["kind"] for row in rows} == {"mask", "rejected"}
    assert not any("value" in row for row in rows)
    shown = ran("redact", "--explain", "--show-values", text=text)[2]
    assert "  bob%40example.com\n" in shown
    assert ran("redact", "--show-values", text=text)[0] == 2


def test_explain_counts_lines_over_chunks_and_control_edits() -> None:
    text = b"quiet line of some length\n" * 2_000 + b"\x07 bob@example.com\nlast bob@example.com"
    code, out, err = ran("redact", "--explain", text=text)
    assert code == 0
    assert out.count("⟦email:") == 2
    assert "-:2001:0-1 control (control) neutralise [raw]\n-:2001:2-17 pii-core.email" in err
    assert "-:2002:5-20 pii-core.email" in err


def test_bench_measures_and_prints_no_text() -> None:
    text = b"level=info msg=ok user=bob@example.com\n" * 3_000
    code, out, _ = ran("redact", "--bench", "--output", "json", text=text)
    body = json.loads(out)
    assert (code, body["lines"], body["masks"], body["hits"] >= 3_000) == (0, 3_000, 3_000, True)
    assert body["mb_per_s"] > 0
    assert body["ratio_to_re"] > 0
    assert body["share_scan"] > 0
    assert "bob" not in ran("redact", "--bench", text=text)[1]
    assert ran("redact", "--bench", text=b"no line end")[0] == 2

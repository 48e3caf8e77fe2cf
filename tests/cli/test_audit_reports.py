"""`audit report`, `audit reports`, `audit sign` and `audit verify-report`, against a server that is a fake and files that are real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.audit.report.test_folder import KEY, OTHER, made
from tests.cli.conftest import Cli
from tests.cli.fake_server import Call, FakeServer, Reply, problem

from loglease.audit.report.folder import archive_of

ENTRY = "ent_01JDC8Z0M4T9YV2K3R5W7X8Q4M"
KINDS = {
    "items": [
        {
            "name": "population",
            "text": "All requests.",
            "of_grant": False,
            "helps_with": {"soc2": "CC6", "iso": "5", "pci": "7"},
        },
        {
            "name": "dossier",
            "text": "One grant.",
            "of_grant": True,
            "helps_with": {"soc2": "CC6", "iso": "5", "pci": "7"},
        },
    ],
    "size": 1_204_311,
}
DOCUMENT: dict[str, Any] = {
    "id": ENTRY,
    "report": "population",
    "text": "All requests.",
    "from_at": "2026-01-01T00:00:00.000000Z",
    "to_at": "2026-02-01T00:00:00.000000Z",
    "sample": {"table": "requests", "size": 2, "of": 9, "seed": 7},
    "summary": [
        {"name": "requests", "text": "requests submitted", "form": "number", "value": 1_234},
        {"name": "dense", "text": "every index", "form": "truth", "value": True},
        {"name": "holder", "text": "who", "form": "subject", "value": "sub_x", "value_name": "Al\x1bice"},
        {"name": "last_index", "text": "the last", "form": "number"},
    ],
    "tables": [{"name": "requests", "title": "Access requests", "columns": [], "rows": [{"entries": [1]}]}],
    "unknown": ["What happened elsewhere."],
}


@pytest.fixture(autouse=True)
def _kinds(server: FakeServer) -> None:
    server.on("GET", "/audit/reports", KINDS)


def answered(body: Any, media_type: str = "application/json") -> Reply:
    return Reply(body, headers={"loglease-entry": ENTRY}, media_type=media_type)


def test_a_summary_is_printed_for_people(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/audit/reports/population", answered(DOCUMENT))
    found = cli(
        "audit", "report", "population", "--from", "2026-01-01", "--to", "2026-02-01", "--sample", "2", "--seed", "7"
    )
    assert found.code == 0, found.err
    assert "requests    1,234" in found.out
    assert "dense       yes" in found.out
    assert "\x1b" not in found.out
    assert "2 of 9 rows of requests, seed 7" in found.out
    assert "What happened elsewhere." in found.err
    (call,) = server.sent("POST", "/audit/reports/population")
    assert call.body == {"from_at": "2026-01-01", "to_at": "2026-02-01", "sample": 2, "seed": 7, "format": "json"}


def test_programs_get_the_document(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/audit/reports/population", answered(DOCUMENT))
    found = cli("audit", "report", "population", "--output", "json")
    assert json.loads(found.out) == DOCUMENT


def test_forms_go_to_standard_output_or_into_a_new_file(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    server.on("POST", "/audit/reports/population", answered("a,b\r\n1,2\r\n", "text/csv"))
    assert cli("audit", "report", "population", "--format", "csv").out == "a,b\r\n1,2\r\n"
    file = tmp_path / "report.csv"
    found = cli("audit", "report", "population", "--format", "csv", "-o", str(file))
    assert (found.code, found.out) == (0, "")
    assert f"loglease audit sign {ENTRY} --accepted" in found.err
    assert file.read_bytes() == b"a,b\r\n1,2\r\n"
    again = cli("audit", "report", "population", "--format", "csv", "-o", str(file))
    assert again.code == 2
    assert len(server.sent("POST", "/audit/reports/population")) == 2, "nothing is asked for that cannot be kept"


def test_a_folder_is_unpacked_and_verified(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    server.on("POST", "/audit/reports/population", answered(archive_of(made()), "application/zip"))
    folder = tmp_path / "evidence"
    found = cli("audit", "report", "population", "--format", "folder", "-o", str(folder))
    assert found.code == 0, found.err
    assert [path.name for path in tmp_path.iterdir() if "evidence" in path.name] == ["evidence"]
    key = str(KEY.verifier)
    good = cli("audit", "verify-report", str(folder), "--key", key)
    assert (good.code, good.err.count("error")) == (0, 0)
    assert good.out.startswith("OK ")
    assert json.loads(cli("audit", "verify-report", str(folder), "--key", key, "--output", "json").out)["entries"] == 8
    wrong = cli("audit", "verify-report", str(folder), "--key", str(OTHER.verifier))
    assert (wrong.code, wrong.out) == (2, "")
    (folder / "report.html").write_text("changed")
    bad = cli("audit", "verify-report", str(folder), "--key", key)
    assert bad.code == 1
    assert "report.html is not the file that was signed" in bad.err
    assert server.sent("GET", "/me") == [], "no server is needed"


def test_what_cannot_be_checked_is_not_called_wrong(cli: Cli, tmp_path: Path) -> None:
    key = str(KEY.verifier)
    assert cli("audit", "verify-report", str(tmp_path / "nowhere"), "--key", key).code == 2
    assert cli("audit", "verify-report", str(tmp_path), "--key", "no key").code == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    assert cli("audit", "verify-report", str(empty), "--key", key).code == 2
    (empty / "report.json").symlink_to("/etc/passwd")
    assert cli("audit", "verify-report", str(empty), "--key", key).code == 2


def test_an_archive_that_leads_elsewhere_writes_nothing(cli: Cli, server: FakeServer, tmp_path: Path) -> None:
    import io
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../escaped", b"x")
    server.on("POST", "/audit/reports/population", answered(out.getvalue(), "application/zip"))
    found = cli("audit", "report", "population", "--format", "folder", "-o", str(tmp_path / "evidence"))
    assert found.code != 0
    assert not (tmp_path / "escaped").exists()
    assert not (tmp_path / "evidence").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("nothing",),
        ("population", "--format", "folder"),
        ("population", "-o", "x.csv"),
        ("population", "--format", "pdf"),
    ],
)
def test_a_question_without_sense_asks_for_nothing(cli: Cli, server: FakeServer, words: tuple[str, ...]) -> None:
    assert cli("audit", "report", *words).code == 2
    assert not [call for call in server.calls if call.method == "POST"]


def test_a_refusal_is_told_as_everywhere(cli: Cli, server: FakeServer) -> None:
    server.on("POST", "/audit/reports/dossier", problem(404, "not_found", "There is no grant."))
    found = cli("audit", "report", "dossier", "--grant", "grt_01JDC91T7KT9YV2K3R5W7X87XK")
    assert (found.code, "There is no grant." in found.err) == (7, True)


def test_a_long_report_tells_that_it_is_under_way(
    cli: Cli, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from threading import Event

    told = Event()
    monkeypatch.setattr(
        "loglease.cli.waiting.Waiting.tell", lambda self, text: told.set() if "1,204,311" in text else None
    )

    def slow(_call: Call) -> Reply:
        assert told.wait(10)
        return answered(DOCUMENT)

    server.on("POST", "/audit/reports/population", slow)
    assert cli("audit", "report", "population").code == 0


def test_reports_are_listed_with_what_they_help_with(cli: Cli) -> None:
    found = cli("audit", "reports")
    assert "population  CC6" in found.out
    assert "All requests." in found.out
    assert json.loads(cli("audit", "reports", "--output", "json").out) == KINDS


def test_a_report_is_signed_off(cli: Cli, server: FakeServer) -> None:
    path = f"/audit/reports/{ENTRY}/sign"
    server.on("POST", path, Reply({"id": "ent_2", "report": ENTRY, "verdict": "objected"}, 201))
    assert cli("audit", "sign", ENTRY).code == 2
    assert cli("audit", "sign", ENTRY, "--accepted", "--objected").code == 2
    assert server.sent("POST", path) == []
    found = cli("audit", "sign", ENTRY, "--objected", "--comment", "two are missing")
    assert found.out == f"{ENTRY} is objected, by entry ent_2.\n"
    (call,) = server.sent("POST", path)
    assert call.body == {"verdict": "objected", "comment": "two are missing"}
    assert call.headers["idempotency-key"]

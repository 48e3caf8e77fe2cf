"""The documents hold: links resolve, commands that are shown exist, every problem code is described."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from tests.house.write_problems import PAGE, problems_page

from loglease.cli.reference import reference
from loglease.server.configured_sources import source_configurations
from loglease.server.problems import KINDS
from loglease.server.settings import load_settings

ROOT: Final = Path(__file__).parents[2]
_LINK: Final = re.compile(r"(?<!\\)!?\[[^\]\n]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_FENCE: Final = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"`(loglease [^`\n]+)`")
_SHOWN: Final = re.compile(r"^ *(?:\w*\$ +|# \w+ +)?(loglease [^\n]*(?:\\\n[^\n]*)*)", re.MULTILINE)
_INSIDE: Final = re.compile(r"\$\((loglease [^)]*)\)|<\((loglease [^)]*)\)")
_PATHS: Final = re.compile(r"(?<![\w.~])(?:/work|/tmp|/root)/|/home/(?!you\b)\w")
_WORKPLACE: Final = re.compile(
    r"\bsession of (?:a|the) workplace\b|\b(?:as an AI|language model|sub-?agent)\b", re.IGNORECASE
)
_END_OF_WORDS: Final = frozenset({"|", ">", "2>", "&&", "||", ";", "&", "·"})


def _documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(path for path in (ROOT / name for name in listed.splitlines()) if path.is_file())


DOCUMENTS: Final = _documents()


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#{1,6} +(.+?) *$", _FENCE.sub("", path.read_text()), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def _commands() -> Mapping[str, frozenset[str]]:
    """Return each command with its flags, from the reference that is written from the tree of commands."""
    text = reference()
    head, *sections = re.split(r"^### loglease ", text, flags=re.MULTILINE)
    everywhere = frozenset(re.findall(r"^\| `(--[a-z-]+)` \|", head, re.MULTILINE)) | {"--help", "--version"}
    return {
        section.partition("\n")[0].strip(): everywhere | set(re.findall(r"^\* `(--[a-z-]+)", section, re.MULTILINE))
        for section in sections
    }


COMMANDS: Final = _commands()


def _shown_commands(text: str) -> Iterator[str]:
    for block in _FENCE.findall(text):
        if not re.match(r" *```(?:mermaid|toml|yaml|python|nginx)", block):
            yield from _SHOWN.findall(block)
            yield from (one or other for one, other in _INSIDE.findall(block))
    yield from _INLINE.findall(_FENCE.sub("", text))


def _words(shown: str) -> list[str]:
    line = shown.replace("\\\n", " ").split(" #")[0].split("  ")[0]
    try:
        words = shlex.split(line)
    except ValueError:  # a quotation that goes on, or that is cut short with an ellipsis
        words = line.split()
    for at, word in enumerate(words):
        if word in _END_OF_WORDS:
            return words[1:at]
    return words[1:]


def _wrong(shown: str) -> str | None:
    words = _words(shown)
    if not words or words[0].startswith("-") or words[0] == "…":
        return None
    deepest = next((n for n in (3, 2, 1) if " ".join(words[:n]) in COMMANDS), 0)
    if not deepest:
        group = " ".join(word for word in words if not word.startswith(("-", "…", "*")))
        return None if any(name.startswith(group + " ") for name in COMMANDS) else "there is no such command"
    flags = COMMANDS[" ".join(words[:deepest])]
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in flags]
    return f"it has no {', '.join(unknown)}" if unknown else None


@pytest.mark.parametrize("path", DOCUMENTS, ids=_named)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for link in _LINK.findall(_without_code(path.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{_named(path)} links to {link}, which is not there"
        assert target.is_relative_to(ROOT), f"{_named(path)} links to {link}, outside of the repository"
        if anchor and target.suffix == ".md":
            assert anchor in _anchors(target), f"{_named(path)} links to {link}, and there is no such heading"


@pytest.mark.parametrize("path", DOCUMENTS, ids=_named)
def test_every_command_that_is_shown_exists_with_its_flags(path: Path) -> None:
    wrong = {shown: why for shown in _shown_commands(path.read_text()) if (why := _wrong(shown))}
    assert not wrong, f"{_named(path)} shows {wrong}"


def test_a_command_that_does_not_exist_would_be_noticed() -> None:
    text = "`loglease rekwest` and\n```console\n$ loglease logs --since 5m --colour\nbob$ loglease admin user ad bob | tail\n```\n"
    assert [_wrong(shown) for shown in _shown_commands(text)] == [
        "it has no --colour",
        "there is no such command",
        "there is no such command",
    ]
    assert not [why for shown in ("loglease lock", "loglease audit list --all") if (why := _wrong(shown))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=_named)
def test_the_proofs_that_are_named_are_there(path: Path) -> None:
    """Paths of tests, benchmarks and packages, and the targets of make."""
    text = path.read_text()
    named = set(re.findall(r"`((?:tests|bench|docs|src|tools)/[\w./-]*\w)/?`", text))
    assert not {name for name in named if not (ROOT / name).exists()}
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, re.MULTILINE)):
        bench = target.removeprefix("bench-").replace("-", "_")
        there = f"\n{target}:" in makefile or (bench != target and (ROOT / "bench" / f"{bench}.py").exists())
        assert there, f"{_named(path)} names make {target}, which is not there"


def test_readme_and_tutorial_show_the_journey() -> None:
    journey = {"serve", "login", "admin user add", "request", "logs", "tail", "revoke"}
    tutorial = (ROOT / "docs" / "tutorial" / "first-grant.md").read_text()
    shown = [" ".join(_words(one)) for one in _shown_commands((ROOT / "README.md").read_text() + tutorial)]
    assert not {step for step in journey if not any(one.startswith(step) for one in shown)}


@pytest.mark.parametrize("path", DOCUMENTS, ids=_named)
def test_settings_that_are_shown_are_accepted(path: Path, tmp_path: Path) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
        if not re.search(r"^\[sources\.", block, re.MULTILINE):
            continue
        file = tmp_path / "loglease.toml"
        file.write_text(block)
        settings = load_settings(config=file, environment={"LOGLEASE_DATA_DIR": str(tmp_path)})
        assert source_configurations(settings), f"{_named(path)} shows a source that is none"


def test_every_problem_code_is_described() -> None:
    assert PAGE.read_text() == problems_page(), "run: python -m tests.house.write_problems"
    described = "".join(path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md"))
    assert not [code for code in KINDS if f"`{code}`" not in described]


@pytest.mark.parametrize("path", DOCUMENTS, ids=_named)
def test_documents_speak_of_the_product_alone(path: Path) -> None:
    text = path.read_text()
    for pattern in (_PATHS, _WORKPLACE):
        found = pattern.search(text)
        assert not found, f"{_named(path)} says {found.group()!r}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=_named)
def test_documents_hold_no_placeholder(path: Path) -> None:
    assert not re.search(r"\b(?:TODO|FIXME|TBD|[A-Z]{5,}FIGURES)\b", path.read_text())

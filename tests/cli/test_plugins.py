"""The plug-in that the guide to writing rules shows, installed by pip as an operator installs one, and what it does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs" / "how-to" / "write-redaction-rules.md").read_text()
CODE = next(block for block in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if "class plugin" in block)
ENTRY_POINT = next(block for block in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL) if "entry-points" in block)
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "shop-loglease"
version = "1.2"

[tool.hatch.build.targets.wheel]
include = ["shop_loglease.py"]

"""
PACK = """
pack: shop
version: 1
format: loglease-rules/1
rules:
  - id: shop.member
    class: pii.member
    label: member
    pattern: 'mem-(?P<value>[0-9]{6})'
    mask: value
    validate: [shop.check_digits]
    examples: ['mem-«111115»']
    non_examples: ['mem-111116']
  - id: shop.coupon
    class: pii.coupon
    label: coupon
    pattern: 'coupon=(?P<value>[A-Za-z]{6})'
    mask: value
    canonical: shop.upper
    examples: ['coupon=«spring»']
  - id: shop.name
    kind: detector
    class: pii.name
    label: name
    detector: shop.people
    examples: ['customer «Maria» paid']
"""
PROFILE = "profile: shop-logs\nversion: 1\npacks: [shop@1]\nclasses: {pii: pseudonym}\n"
TEXT = "mem-111115 mem-111116 coupon=Spring coupon=SPRING coupon=winter customer Maria paid\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the plug-in installed into it, and the pack and profile that use it beside it."""
    root = tmp_path_factory.mktemp("plugin")
    package = root / "package"
    package.mkdir()
    (package / "shop_loglease.py").write_text(CODE)
    (package / "pyproject.toml").write_text(PROJECT + ENTRY_POINT)
    rules = root / "rules"
    rules.mkdir()
    (rules / "shop.yaml").write_text(PACK)
    (rules / "profile.yaml").write_text(PROFILE)
    install(root)
    return root


def install(root: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--upgrade", "--target", root / "site", root / "package"], check=True)


def ran(root: Path, *arguments: str, text: str = TEXT) -> tuple[int, str, str]:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("loglease")), *arguments],
        input=text, capture_output=True, text=True, check=False, env=with_plugin(root),
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def with_plugin(root: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(root / "site")}


def redacted(root: Path, *plugins: str, text: str = TEXT) -> tuple[int, str, str]:
    return ran(root, "redact", "--rules", str(root / "rules"), "--profile", "shop-logs", *plugins, text=text)


def test_validator_canonical_form_and_detector_of_an_installed_plug_in(installed: Path) -> None:
    code, out, err = redacted(installed, "--plugin", "shop")
    assert code == 0, err
    token = "⟦{}:([a-z2-7]{{10}})⟧".format
    line = rf"mem-{token('member')} mem-111116 coupon={token('coupon')} coupon={token('coupon')} "
    found = re.fullmatch(line + rf"coupon={token('coupon')} customer {token('name')} paid\n", out)
    assert found is not None, out
    assert found[2] == found[3] != found[4]


def test_a_plug_in_that_is_installed_and_not_enabled_is_not_imported(installed: Path) -> None:
    code, out, err = redacted(installed)
    assert (code, out) == (2, "")
    assert "shop.check_digits" in err
    assert "Maria" not in err


def test_a_line_that_a_detector_fails_on_and_a_value_that_a_validator_fails_on_are_masked(installed: Path) -> None:
    broken = CODE.replace("for found in", "if b'!' in line: raise ValueError(line)\n    for found in").replace(
        "return sum(", "assert value != b'222222', value\n    return sum("
    )
    (installed / "package" / "shop_loglease.py").write_text(broken)
    install(installed)
    try:
        code, out, err = redacted(installed, "--plugin", "shop", text="mem-222222 a\ncustomer Maria!\n")
    finally:
        (installed / "package" / "shop_loglease.py").write_text(CODE)
        install(installed)
    assert code == 0, err
    assert re.fullmatch("mem-⟦member:[a-z2-7]{10}⟧ a\n⟦name:[a-z2-7]{10}⟧\n", out), out
    assert "222222" not in err
    assert "Maria" not in err


def test_the_digest_of_a_plug_in_follows_its_code(installed: Path) -> None:
    before = digest(installed)
    (installed / "package" / "shop_loglease.py").write_text(CODE + "\n# other bytes\n")
    install(installed)
    try:
        after = digest(installed)
    finally:
        (installed / "package" / "shop_loglease.py").write_text(CODE)
        install(installed)
    assert re.fullmatch(r"shop 1\.2 sha256:[0-9a-f]{64}\n", before)
    assert before != after
    assert digest(installed) == before


def digest(root: Path) -> str:
    show = "from loglease.redaction.plugins import load_plugins; print(*load_plugins(['shop']).plugins)"
    return subprocess.check_output([sys.executable, "-c", show], text=True, env=with_plugin(root))

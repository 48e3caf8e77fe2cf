from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from loglease.model.errors import InvalidField
from loglease.sources.files import FileSourceConfig, Retention, Watch, file_source_config, validated

GOOD = """
kind: files
description: Logs of the shop
watches:
  - root: logs
    pattern: "**/*.log"
    labels: {env: prod}
    path_labels: '(?P<service>[^/]+)/.*'
    timestamp: json
    zone: Europe/Berlin
    multiline: trace
  - root: /var/log
    pattern: syslog*
    labels: {service: syslog}
    multiline: 'start: \\S'
retention: {age: 7d, size: 20GiB}
trusted_labels: [service, env]
clear_labels: [env]
compress: true
"""


def configured(text: str) -> FileSourceConfig:
    return file_source_config("shop", yaml.safe_load(text), directory=Path("/data/shop"), base=Path("/etc/loglease"))


def test_a_whole_configuration():
    found = configured(GOOD)
    assert found.directory == Path("/data/shop")
    assert found.retention == Retention(age_s=7 * 86_400, size_bytes=20 << 30)
    assert found.watches[0].root == Path("/etc/loglease/logs")
    assert found.watches[0].label_names == {"env", "service"}
    assert found.watches[1].multiline == r"start: \S"
    assert found.label_names == {"service", "env"}
    assert found.clear_labels == {"env"}
    assert found.compress


def test_without_trusted_labels_all_labels_of_the_watches_are():
    found = configured("watches: [{root: a, pattern: '*', labels: {x: y}}, {root: b, pattern: '*', labels: {z: y}}]")
    assert found.label_names == {"x", "z"}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"wacthes": []}, "/wacthes"),
        ({"watches": {}}, "/watches"),
        ({"watches": [{"root": "x"}]}, "/watches/0/pattern"),
        ({"watches": [3]}, "/watches/0"),
        ({"retention": {"age": "soon"}}, "/retention/age"),
        ({"retention": {"size": "lots"}}, "/retention/size"),
        ({"retention": {"size": "1KiB"}}, "/retention/size"),
        ({"retention": {"days": 3}}, "/retention/days"),
        ({"clear_labels": ["nothing"]}, "/clear_labels"),
        ({"trusted_labels": ["a-b"]}, "/trusted_labels"),
        ({"compress": "yes"}, "/compress"),
        ({"description": 3}, "/description"),
    ],
)
def test_a_mistake_names_its_field_and_a_remedy(change, pointer):
    raw = {"watches": [{"root": "x", "pattern": "*", "labels": {"a": "b"}}]} | change
    with pytest.raises(InvalidField) as error:
        file_source_config("shop", raw, directory=Path("/d"), base=Path("/b"))
    assert pointer in [fault.pointer for fault in error.value.faults]
    assert pointer in error.value.message
    assert error.value.next_step


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("pattern", "/etc/*", "pattern"),
        ("pattern", "../*", "pattern"),
        ("pattern", "", "pattern"),
        ("labels", {}, "labels"),
        ("labels", {"a b": "x"}, "labels/a b"),
        ("labels", {"__name__": "x"}, "labels/__name__"),
        ("labels", {"a": ""}, "labels/a"),
        ("labels", {"a": "x" * 2_049}, "labels/a"),
        ("labels", {f"a{n}": "x" for n in range(16)}, "labels"),
        ("path_labels", "(", "path_labels"),
        ("path_labels", "no group", "path_labels"),
        ("path_labels", "(?P<a>.)", "path_labels"),
        ("timestamp", "stardate", "timestamp"),
        ("zone", "Mars/Olympus", "zone"),
        ("zone", "../../etc/passwd", "zone"),
        ("multiline", "start:", "multiline"),
        ("multiline", "start: (", "multiline"),
        ("multiline", "sometimes", "multiline"),
    ],
)
def test_a_watch_is_checked(field, value, pointer):
    fields = {"root": Path("/x"), "pattern": "*.log", "labels": {"a": "b"}} | {field: value}
    with pytest.raises(InvalidField) as error:
        validated(FileSourceConfig(name="shop", directory=Path("/d"), watches=(Watch(**fields),)))
    assert [fault.pointer for fault in error.value.faults] == [f"/watches/0/{pointer}"]


def test_all_mistakes_come_together():
    with pytest.raises(InvalidField) as error:
        configured("{colour: red, compress: 1, watches: [{pattern: x}], retention: {age: x}}")
    assert len(error.value.faults) == 4


def test_the_same_watch_twice_is_refused():
    watch = Watch(root=Path("/x"), pattern="*", labels={"a": "b"})
    with pytest.raises(InvalidField, match="same root and pattern"):
        validated(FileSourceConfig(name="shop", directory=Path("/d"), watches=(watch, watch)))

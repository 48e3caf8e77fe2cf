"""Reads the steps after a request in a policy test."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from loglease.policy.conditions import ABSENT
from loglease.policy.fact_literals import SUPPOSED, FactLiterals
from loglease.policy.fields import Reader, Record
from loglease.policy.problems import did_you_mean, shown
from loglease.policy.steps import BY_OTHERS, NEGATIVE, WANTED, Act, TestPerson, TestStep
from loglease.policy.tree import Node, Table

_FIELDS = ("after", "people", "facts", "fault", "absent", "do", "by", "want", "code")
_CHANGES = ("after", "people", "facts", "fault", "absent")
People = Callable[[Node, Collection[str]], dict[str, TestPerson]]
"""Reads people, who may name others that are known already."""


class StepDocuments:
    """Reads steps against the people and facts of their test."""

    def __init__(self, reader: Reader, facts: FactLiterals, people: People) -> None:
        self._reader = reader
        self._facts = facts
        self._people = people

    def read(self, node: Node | None, people: Mapping[str, TestPerson]) -> tuple[TestStep, ...]:
        """Read the steps of a case, in order; people of earlier steps are known in later ones."""
        known = set(people)
        found = []
        for item in self._reader.items(node, "then"):
            step = self._step(item, known)
            known |= step.people.keys()
            found.append(step)
        return tuple(found)

    def _step(self, node: Node, known: set[str]) -> TestStep:
        read = self._reader
        record = read.record(node, "a step", _FIELDS)
        if not isinstance(node, Table) or not node.entries:
            return TestStep(at=node.at)
        people_node, after = record.node("people"), record.node("after")
        people = {} if people_node is None else self._people(people_node, known)
        word = read.word(record.node("do"), "do", tuple(Act), "")
        act = Act(word) if word else None
        facts = {
            **self._facts.values(record.node("facts")),
            **dict.fromkeys(self._facts.names(record.node("absent"), "absent", optional=True), ABSENT),
            **dict.fromkeys(self._facts.names(record.node("fault"), "fault"), SUPPOSED),
        }
        want, code = self._want(record, act)
        return TestStep(
            after_s=0 if after is None else read.duration(after, "after"),
            people=people,
            facts=facts,
            act=act,
            by=self._by(record, act, known | people.keys()),
            want=want,
            code=code,
            at=node.at,
        )

    def _by(self, record: Record, act: Act | None, known: Collection[str]) -> str | None:
        node = record.need("by", "noor") if act in BY_OTHERS else record.node("by")
        if node is None:
            return None
        if act not in BY_OTHERS:
            what = "a step without 'do'" if act is None else f"to {act}"
            self._reader.problems.add(
                record.key_at("by"), "P118", f"'by' does not belong to {what}", "leave it out: it is for whoever asks"
            )
        name = self._reader.text(node, "by")
        if name and name not in known:
            self._reader.problems.add(node.at, "P302", f"unknown person {shown(name)}", did_you_mean(name, known))
        return name

    def _want(self, record: Record, act: Act | None) -> tuple[str | None, str | None]:
        """Read what is wanted: of an act something must be, and a step that changes nothing has to want something."""
        changes = any(record.node(one) is not None for one in _CHANGES)
        needed = act is not None or not changes
        node = record.need("want", WANTED[act][0]) if needed else record.node("want")
        want = self._reader.word(node, "want", WANTED[act], "") or None
        code_node = record.node("code")
        code = self._reader.text(code_node, "code", longest=64) or None
        if code_node is not None and want not in NEGATIVE:
            self._reader.problems.add(
                record.key_at("code"), "P118", f"'code' belongs to want: {', '.join(NEGATIVE)}", "remove it"
            )
        return want, code

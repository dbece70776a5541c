"""Policies with one small fault: an action less, or a resource widened to everything. The tests must notice each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from deploy.iam.document import Document, Statement, statements_of
from localcloud.authorization.needs import REGION, Need
from tests.functional.deploy.iam.simulator import Case, Simulator

TELLING = 3  # of a statement's actions: what its resources and conditions let in, each of them tells


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """Documents with a fault, what it is, and the actions that it bears on."""

    fault: str
    documents: Sequence[Document]
    actions: frozenset[str]


def without_an_action(documents: Sequence[Document]) -> Iterator[Mutant]:
    """Each statement without each of its actions."""
    for number, place, statement in _statements(documents):
        for action in statement["Action"]:
            left = [each for each in statement["Action"] if each != action]
            changed = [{**statement, "Action": left}] if left else []
            fault = f"{statement['Sid']} without {action}"
            yield Mutant(fault=fault, documents=_with(documents, number, place, changed), actions=frozenset({action}))


def widened(documents: Sequence[Document]) -> Iterator[Mutant]:
    """Each statement with each of its resources as wide as it gets."""
    for number, place, statement in _statements(documents):
        for resource in statement["Resource"]:
            if resource != "*":
                wide = ["*" if each == resource else each for each in statement["Resource"]]
                fault = f"{statement['Sid']} on * instead of {resource}"
                changed = _with(documents, number, place, [{**statement, "Resource": wide}])
                yield Mutant(fault=fault, documents=changed, actions=frozenset(statement["Action"][:TELLING]))


def unconditional(documents: Sequence[Document]) -> Iterator[Mutant]:
    """Each statement without its conditions."""
    for number, place, statement in _statements(documents):
        if "Condition" in statement:
            bare = {key: value for key, value in statement.items() if key != "Condition"}
            yield Mutant(
                fault=f"{statement['Sid']} under no condition",
                documents=_with(documents, number, place, [bare]),
                actions=frozenset(statement["Action"][:TELLING]),
            )


def neighbours(needs: Iterable[Need], documents: Iterable[Document]) -> list[Need]:
    """What stands next to some rights and is somebody else's: the same in two other stages, in another region, with
    another value of each key that the documents' conditions ask for."""
    required = {key for document in documents for key in _conditions(document)}
    others = []
    for need in needs:
        moved = {need.resource.replace("kennel-local", "kennel-prod").replace("/kennel/", "/other/")}
        moved.add(need.resource.replace("kennel-local", "kennel-local2"))
        moved.add(need.resource.replace(f":{REGION}:", ":eu-west-1:"))
        others += [Need(action=need.action, resource=place, context=need.context) for place in moved - {need.resource}]
        for key in required & set(need.context):
            context = {**need.context, key: "other"}
            others.append(Need(action=need.action, resource=need.resource, context=context))
    return list({str(need): need for need in others}.values())


def unseen(simulator: Simulator, faults: Sequence[Mutant], needs: Sequence[Need], *, allowed: bool) -> list[str]:
    """The faults that no need reveals: every need with the fault's actions is answered `allowed` all the same."""
    cases = [
        Case(policy=mutant.fault, need=need) for mutant in faults for need in needs if need.action in mutant.actions
    ]
    answers = simulator.allowed({mutant.fault: mutant.documents for mutant in faults}, cases)
    caught = {case.policy for case, answer in zip(cases, answers, strict=True) if answer is not allowed}
    return [mutant.fault for mutant in faults if mutant.fault not in caught]


def few(needs: Iterable[Need]) -> list[Need]:
    """One need for each action, kind of resource and condition, because similar needs prove the same."""
    return list({(need.action, need.resource.partition("/")[0], str(need.context)): need for need in needs}.values())


def _conditions(document: Document) -> Iterator[str]:
    for statement in statements_of(document):
        for keys in statement.get("Condition", {}).values():
            yield from keys


def _statements(documents: Sequence[Document]) -> Iterator[tuple[int, int, Statement]]:
    for number, document in enumerate(documents):
        for place, statement in enumerate(statements_of(document)):
            yield number, place, statement


def _with(documents: Sequence[Document], number: int, place: int, changed: Sequence[Statement]) -> list[Document]:
    """The documents with some statements in the place of one."""
    made, held = list(documents), statements_of(documents[number])
    made[number] = {**documents[number], "Statement": [*held[:place], *changed, *held[place + 1 :]]}
    return [document for document in made if document["Statement"]]

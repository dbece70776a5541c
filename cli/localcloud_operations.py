"""Writes docs/localcloud-operations.md: who answers each operation on localcloud, which errors, and who says so.

`python -m cli.localcloud_operations` writes it; a test fails when it is not what the code and its witnesses say.
"""

from __future__ import annotations

import ast
import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

from localcloud.cloud import Cloud
from localcloud.cloudwatch.backend import CloudWatch
from localcloud.ecr.registry import Registry
from localcloud.ecr.repositories import Records
from localcloud.services import services
from localcloud.tags import Tags

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "localcloud-operations.md"
WITNESSES = REPOSITORY / "localcloud" / "witnesses.toml"
GOLDEN = REPOSITORY / "tests" / "unit" / "deploy" / "golden"
MADE = (
    "<!-- made by `python -m cli.localcloud_operations` from the code and localcloud/witnesses.toml; do not edit -->\n"
)
KINDS = {
    "recorded": "an answer of real AWS, recorded in the snapshot beside the named test",
    "validated": "a test of others, named, that passed against real AWS; the answer itself is not recorded",
    "client": "a client that others wrote works with it, in the named test",
    "documentation": "AWS's own page",
    "none": "nobody but us",
}
# Asked without parameters, so without a golden file.
BARE = (
    ("iam", "GetAccountAuthorizationDetails"), ("iam", "GetAccountSummary"), ("iam", "ListUsers"),
    ("s3", "ListBuckets"), ("service-quotas", "ListRequestedServiceQuotaChangeHistory"), ("sts", "GetCallerIdentity"),
)  # fmt: skip
# Methods of Python's own types. An attribute of such a name says nothing about whose method it is.
BUILTIN = {name for kind in (dict, list, set, str, bytes) for name in dir(kind)}
INTRO = """# Operations of localcloud

Every operation that Kennel calls, and every one that localcloud answers itself. **Who** answers: `localcloud`; `moto`,
which keeps the records; `both`, where moto keeps the record and localcloud does the work, or where it depends on the
resource; `refused`, where localcloud has no such thing and says so.

**Errors** are the codes that localcloud's own code can raise, read from its source. The gateway adds to each
operation that localcloud reads: ValidationException (in ECR and CloudWatch Logs InvalidParameterException, in
SageMaker Runtime ValidationError) for parameters that botocore's model does not allow, SerializationException for a
body that is no JSON, and InternalFailure for a bug of localcloud. moto's errors are moto's.

**Witness**: who says that AWS answers so. `tests/functional/localcloud/recorded` asks localcloud what is recorded, and
holds each difference beside AWS's answer; `differs` tells it in short. Recordings are below tests/aws/services of
github.com/localstack/localstack, in the snapshot file beside the named test.
"""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One line of the table. `witness` is (kind, where)."""

    service: str
    name: str
    who: str
    errors: tuple[str, ...]
    witness: tuple[str, str]
    differs: str = ""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    rows = operations()
    lines = [MADE, INTRO]
    for service in sorted({row.service for row in rows}):
        lines += [f"## {service}\n", "| operation | who | errors | witness |\n|---|---|---|---|"]
        lines += [_row(row) for row in rows if row.service == service]
        lines.append("")
    return "\n".join([*lines, *_counts(rows)])


def _row(row: Operation) -> str:
    kind, where = row.witness
    witness = f"{kind}: {where}" if where.startswith("https:") else f"{kind}: `{where}`" if where else kind
    witness += f"<br>differs: {row.differs}" if row.differs else ""
    errors = ", ".join(row.errors) if row.who != "moto" else "moto's"
    return f"| {row.name} | {row.who} | {errors} | {witness} |"


def _counts(rows: list[Operation]) -> Iterator[str]:
    yield "## Counts\n"
    yield "| witness | operations | what it is |\n|---|---|---|"
    kinds = Counter(row.witness[0] for row in rows)
    yield from (f"| {kind} | {kinds[kind]} | {meaning} |" for kind, meaning in KINDS.items())
    yield f"| all | {len(rows)} | |\n"
    who = Counter(row.who for row in rows)
    yield "| who answers | operations |\n|---|---|"
    yield from (f"| {name} | {count} |" for name, count in sorted(who.items()))
    differing = [row for row in rows if row.differs]
    yield f"\nOf the recorded operations {len(differing)} differ in some answer.\n"


def operations() -> list[Operation]:
    """Every operation, by service and name."""
    handlers, wrappers = answered()
    told = witnesses()
    rows = []
    for service, name in sorted(called() | handlers.keys() | wrappers.keys() | set(BARE)):
        own = handlers.get((service, name)) or wrappers.get((service, name))
        found = reached(own) if own else Reached()
        if own is None:
            who = "moto"
        elif found.refuses:
            who = "refused"
        else:
            who = "both" if (service, name) in wrappers or found.passes else "localcloud"
        entry = told.get((service, name), {})
        witness = next(((kind, entry[kind]) for kind in KINDS if kind in entry), ("none", ""))
        rows.append(
            Operation(
                service=service, name=name, who=who, errors=tuple(sorted(found.codes)), witness=witness,
                differs=entry.get("differs", ""),
            )
        )  # fmt: skip
    return rows


def witnesses() -> dict[tuple[str, str], dict[str, str]]:
    """(service, operation) → what localcloud/witnesses.toml says about it."""
    tables = tomllib.loads(WITNESSES.read_text(encoding="utf-8"))
    return {(service, name): entry for service, table in tables.items() for name, entry in table.items()}


def called() -> set[tuple[str, str]]:
    """What Kennel calls: the service and operation of each golden file."""
    files = GOLDEN.rglob("*.json")
    return {(path.parent.name, json.loads(path.read_text(encoding="utf-8"))["operation"]) for path in files}


def answered() -> tuple[dict[tuple[str, str], Any], dict[tuple[str, str], Any]]:
    """localcloud's handlers and wrappers by (service, operation), from services that answer nothing."""

    def now() -> datetime:
        return datetime.now(UTC)

    account, region, nowhere, absent = "123456789012", "us-east-1", Path("/nonexistent"), cast("Any", None)
    watch = CloudWatch(account=account, region=region, now=now)
    cloud = Cloud(
        instance="", account=account, region=region, state_dir=nowhere, endpoint_url="http://127.0.0.1:1",
        container_url="http://127.0.0.1:1", engine=absent, objects=absent, logs=absent, metrics=watch, alarms=watch,
        tags=Tags(), now=now,
        registry=Registry(folder=nowhere, records=Records(account=account, region=region), now=now),
    )  # fmt: skip
    every = services(cloud)
    handlers = {(each.name, name): handler for each in every for name, handler in each.handlers.items()}
    wrappers = {(each.name, name): wrapper for each in every for name, wrapper in each.wrappers.items()}
    for each in every:
        each.close()
    return handlers, wrappers


# ---------------------------------------------------------------------------------------------- errors, by ast


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What a handler can come to: error codes, moto, or nothing but a refusal."""

    codes: frozenset[str] = frozenset()
    passes: bool = False
    refuses: bool = False


Node = ast.FunctionDef | ast.Lambda


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module's functions and methods by name, and the names that it imports from localcloud: name → module, name."""

    tree: ast.Module
    functions: Mapping[str, tuple[Node, ...]]
    imports: Mapping[str, tuple[str, str]]


def reached(handler: Callable[..., Any]) -> Reached:
    """What a handler can come to, over the functions of localcloud that its source names."""
    starts = [_node(function) for function in _parts(handler)]
    waiting = list(starts)
    seen: set[int] = set()
    codes: set[str] = set()
    passes = False
    while waiting:
        name, node = waiting.pop()
        if id(node) not in seen:
            seen.add(id(node))
            codes |= set(_codes(node))
            passes |= any(isinstance(each, ast.Raise) and "PassToMoto" in ast.unparse(each) for each in ast.walk(node))
            waiting += list(_called(name, node))
    refuses = any(_refuses(node) for _, node in starts)
    return Reached(codes=frozenset(codes), passes=passes, refuses=refuses)


def _parts(handler: Any) -> Iterator[Any]:
    """The functions of a handler. A partial may hold the one that answers among its arguments."""
    if isinstance(handler, partial):
        for each in (handler.func, *handler.args):
            yield from _parts(each) if callable(each) else ()
    else:
        yield getattr(handler, "__func__", handler)


def _node(function: Any) -> tuple[str, Node]:
    """A function's module and its definition."""
    line, name = function.__code__.co_firstlineno, function.__module__
    nodes = (node for node in ast.walk(module(name).tree) if isinstance(node, ast.FunctionDef | ast.Lambda))
    return name, next(node for node in nodes if node.lineno == line)


@cache
def module(name: str) -> Module:
    """A module of localcloud, read."""
    path = REPOSITORY.joinpath(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions: dict[str, list[Node]] = {}
    imports: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            functions.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("localcloud"):
            imports |= {each.asname or each.name: (str(node.module), each.name) for each in node.names}
    return Module(tree=tree, functions={name: tuple(nodes) for name, nodes in functions.items()}, imports=imports)


def _codes(node: Node) -> Iterator[str]:
    """The literals that are an ApiError's code."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "ApiError" and call.args:
            code = call.args[0]
            chosen = [code.body, code.orelse] if isinstance(code, ast.IfExp) else [code]
            yield from (each.value for each in chosen if isinstance(each, ast.Constant) and isinstance(each.value, str))


def _called(name: str, node: Node) -> Iterator[tuple[str, Node]]:
    """The functions that a function may call: of its module, and of the modules of localcloud that it imports."""
    own = module(name)
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            source, original = own.imports.get(each.id, (name, each.id))
            yield from ((source, found) for found in _functions(source).get(original, ()))
        elif isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id == "self":
            yield from ((name, found) for found in own.functions.get(each.attr, ()))
        elif isinstance(each, ast.Attribute) and each.attr not in BUILTIN:
            for source in {name, *(source for source, _ in own.imports.values())}:
                yield from ((source, found) for found in _functions(source).get(each.attr, ()))


def _functions(name: str) -> Mapping[str, tuple[Node, ...]]:
    return module(name).functions


def _refuses(node: Node) -> bool:
    """Whether a function does nothing but raise."""
    body = [each for each in node.body if not isinstance(each, ast.Expr)] if isinstance(node, ast.FunctionDef) else []
    return len(body) == 1 and isinstance(body[0], ast.Raise)


if __name__ == "__main__":
    main()

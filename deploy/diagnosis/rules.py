"""The diagnosis rules: pure functions from facts to causes. Most find a pain of docs/aws-contracts.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.diagnosis.facts import Facts, FunctionSeen, WarmSeen
from deploy.errors import DeployError
from deploy.images import checks, cuda
from deploy.jobs.failures import FIXES

Certainty = Literal["certain", "likely", "possible"]
CERTAINTIES: tuple[Certainty, ...] = ("certain", "likely", "possible")
STUCK_S = 20 * 60.0  # eight minutes may pass before a container must answer (rule 29); instances take some too
YOUNG_S = 60.0  # a new role is known everywhere after 10–30 s (pain 16)
TELLING = re.compile(r"error|exception|traceback|fatal|failed|refused|denied|not found|killed|unable|cannot", re.I)
LINES = 5


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """A cause, what speaks for it, how sure that is, and the command to type next. `pain` is its number in
    docs/aws-contracts.md, or 0."""

    cause: str
    evidence: str
    certainty: Certainty
    command: str
    pain: int = 0


Rule = Callable[[Facts], Iterator[Diagnosis]]


def diagnose(facts: Facts) -> list[Diagnosis]:
    """What the rules find, the surest first; for an illness that none knows, where to look. Empty: all is well."""
    found: dict[str, Diagnosis] = {}
    for each in (each for rule in RULES for each in rule(facts)):
        found.setdefault(each.cause, each)
    ranked = sorted(found.values(), key=lambda each: CERTAINTIES.index(each.certainty))
    if not ranked and not facts.is_well and not facts.is_busy:
        return [_unknown(facts)]
    return ranked


def telling(lines: Sequence[str]) -> list[str]:
    """The lines that say most: the last that speak of an error, else the last."""
    return [line for line in lines if TELLING.search(line)][-LINES:] or list(lines)[-LINES:]


def manifest(facts: Facts) -> Iterator[Diagnosis]:
    """Pains 1–3 and 7: what an image's manifest and configuration show before anything starts."""
    for image in () if facts.is_well else facts.images:
        if image.gate is None:
            yield Diagnosis(
                cause=f"the image {image.uri} is nowhere",
                evidence="neither ECR nor the engine here holds it",
                certainty="certain",
                command="./inv push",
            )
            continue
        for fault in checks.faults(image.gate, image.consumer):
            pain = next((number for text, number in IMAGE_PAINS if text in fault), 0)
            command = "./inv push --repair" if pain in (1, 2) else "./inv build"
            yield Diagnosis(
                cause=f"the image {fault}", evidence=image.uri, certainty="certain", command=command, pain=pain
            )


IMAGE_PAINS = (("is an index", 2), ("OCI manifest", 1), ("is for ", 3), ("has no entrypoint", 7), ("GB, and", 18))


def words(facts: Facts) -> Iterator[Diagnosis]:
    """Pains 1, 3, 4, 7, 8: sentences of AWS, Docker and CUDA that mean one thing only."""
    for pattern, cause, command, pain in () if facts.is_well else WORDS:
        line = next((line for line in facts.said.splitlines() if re.search(pattern, line, re.I)), "")
        if line:
            yield Diagnosis(cause=cause, evidence=line.strip(), certainty="certain", command=command, pain=pain)


WORDS: tuple[tuple[str, str, str, int], ...] = (
    (
        r"Unsupported manifest media type",
        "the image's manifest is OCI's, and SageMaker takes Docker's alone",
        "./inv push --repair",
        1,
    ),
    (r"manifest, config or layer media type", "the image is an index, which Lambda refuses", "./inv push --repair", 2),
    (
        r"exec format error",
        "the image is for another processor architecture than the machine (linux/amd64)",
        "./inv build",
        3,
    ),
    (
        r"CUDA driver version is insufficient|unsatisfied condition: cuda",
        "the image's CUDA is newer than the host's driver",
        "set endpoint.inference_ami in deploy.toml, or choose another instance type; then ./inv plan",
        4,
    ),
    (
        r"executable file not found",
        "the image has no entrypoint that takes `train` or `serve`",
        "./inv build",
        7,
    ),
    (r"ResourceLimitExceeded|account-level service limit", "the quota is too low", "./inv quotas --request", 8),
    (
        r"VcpuLimitExceeded|MaxSpotInstanceCountExceeded",
        "the quota of EC2's vCPUs is too low",
        "./inv quotas --request",
        8,
    ),
)


def drivers(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 4: CUDA newer than the driver of the host image leaves an endpoint in Creating, without a log."""
    for variant in () if facts.is_well else facts.variants:
        for image in facts.images:
            try:
                if cuda.has_gpu(variant.instance_type) and variant.host_image:
                    cuda.host_image(
                        variant.instance_type, cuda=image.cuda, chosen=variant.host_image, where=variant.name
                    )
            except DeployError as error:
                yield Diagnosis(
                    cause="the image's CUDA is newer than the driver of the host image",
                    evidence=str(error),
                    certainty="certain",
                    command="set endpoint.inference_ami in deploy.toml; then ./inv plan",
                    pain=4,
                )


def stuck(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 5: it stays in Creating, and is billed; it cannot be deleted before it has failed."""
    if facts.status in ("Creating", "Updating", "Pending") and facts.since_s > STUCK_S:
        lines = telling(facts.lines)
        minutes = facts.since_s / 60
        yield Diagnosis(
            cause=f"stuck in {facts.status} for {minutes:.0f} minutes: the container does not answer /ping with 200",
            evidence=lines[-1] if lines else "it has written no log, so it may not even start",
            certainty="likely",
            command=f"./inv logs {facts.name}; when it has failed, ./inv deploy replaces it (until then it is billed)",
            pain=5,
        )


def ping(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 6: the health check fails, and AWS's sentence hides what the container said."""
    if not facts.is_well and "ping health check" in facts.reason:
        lines = telling(facts.lines)
        yield Diagnosis(
            cause="the container starts, and does not answer GET /ping with 200 in time",
            evidence=" | ".join(lines) if lines else "it has written nothing",
            certainty="certain",
            command=f"./inv logs {facts.name}; then the same image here: docker run --rm -p 8080:8080 IMAGE serve",
            pain=6,
        )


def quota(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 8: what deploy.toml needs is more than the account may have."""
    for row in () if facts.is_well else facts.quotas:
        if row.is_short and row.quota:
            yield Diagnosis(
                cause=f"the quota {row.quota.name} is too low",
                evidence=f"it is {row.quota.value:g}, and {row.need.wanted:g} is needed ({row.need.why})",
                certainty="certain" if facts.kind == "nothing of that name" else "possible",
                command="./inv quotas --request",
                pain=8,
            )


def capacity(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 13: an update without RetainAllVariantProperties put a scaled-out variant back to where it began."""
    for variant in facts.variants:
        changed_since = variant.scaled_at and facts.changed and facts.changed > variant.scaled_at
        if changed_since and variant.scaled > variant.now == variant.initial:
            yield Diagnosis(
                cause=f"an update threw the capacity of variant {variant.name} away: it was made without "
                "RetainAllVariantProperties, so by another tool than this one",
                evidence=f"scaled to {variant.scaled} at {variant.scaled_at}, changed at {facts.changed}, and now "
                f"{variant.now}, as the configuration starts",
                certainty="likely",
                command="./inv autoscale (the scaling goes on by itself); and update by ./inv deploy only",
                pain=13,
            )


def old_model(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 15: the name is the same, and so is the model behind it, though a newer one is trained."""
    for variant in facts.variants:
        newer = variant.newest_at and facts.changed and variant.newest_at > facts.changed
        if newer and variant.artifact and variant.artifact != variant.newest:
            yield Diagnosis(
                cause=f"variant {variant.name} serves an older model than the newest that is trained",
                evidence=f"it serves {variant.artifact}; {variant.newest} is of {variant.newest_at}",
                certainty="certain",
                command="./inv plan deploy",
                pain=15,
            )


def role(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 16: the role is not there, lets somebody else in, or is too new to be known everywhere."""
    refused = re.search(r"Could not assume role|cannot be assumed|Invalid IAM Instance Profile", facts.reason, re.I)
    for each in facts.roles:
        if not each.exists:
            yield _role(f"the role {each.name} does not exist", "iam.GetRole: NoSuchEntity", "certain")
        elif each.service not in each.takers:
            takers = ", ".join(each.takers) or "nobody"
            yield _role(f"the role {each.name} cannot be assumed by {each.service}", f"it lets {takers} in", "certain")
        elif refused and each.age_s < YOUNG_S:
            evidence = f"it is {each.age_s:.0f} s old: {facts.reason}"
            yield _role(f"the role {each.name} is too new to be known everywhere", evidence, "likely")


def _role(cause: str, evidence: str, certainty: Certainty) -> Diagnosis:
    return Diagnosis(cause=cause, evidence=evidence, certainty=certainty, command="./inv deploy", pain=16)


def concurrency(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 20: provisioned concurrency that the second deploy broke."""
    seen = facts.function or FunctionSeen()
    for warm in seen.warm:
        if warm.status == "FAILED":
            yield _warm(warm, f"could not be made ready: {warm.reason or 'AWS gives no reason'}")
        elif warm.qualifier not in seen.aliases:
            yield _warm(warm, "is bound to a version and not to an alias, so that callers of the alias start cold")
    asked = sum(warm.asked for warm in seen.warm)
    if seen.reserved is not None and asked > seen.reserved:
        worst = max(seen.warm, key=lambda each: each.asked)
        yield _warm(worst, f"and all others are together {asked}, more than the {seen.reserved} reserved")
    for alias in seen.moving:
        if any(warm.qualifier == alias and warm.status != "IN_PROGRESS" for warm in seen.warm):
            yield Diagnosis(
                cause=f"the alias {alias} is stuck between two versions",
                evidence="its routing sends traffic to both, and nothing is being made warm any more",
                certainty="likely",
                command="./inv deploy",
                pain=20,
            )


def _warm(warm: WarmSeen, what: str) -> Diagnosis:
    evidence = f"{warm.there} of {warm.asked} are there, {warm.status}"
    return Diagnosis(
        cause=f"provisioned concurrency of {warm.qualifier} {what}",
        evidence=evidence,
        certainty="certain",
        command="./inv deploy",
        pain=20,
    )


def plain(facts: Facts) -> Iterator[Diagnosis]:
    """Other reasons that have plain words."""
    if facts.is_well or not facts.reason:
        return
    for text, meaning in FIXES:
        if text.lower() in facts.reason.lower():
            command = f"./inv logs {facts.name}"
            yield Diagnosis(cause=meaning, evidence=facts.reason, certainty="likely", command=command)
            return


def _unknown(facts: Facts) -> Diagnosis:
    lines = telling(facts.lines)
    if facts.kind == "nothing of that name":
        return Diagnosis(
            cause="nothing of that name is there, and nothing that it would be made of is ill",
            evidence="looked for a job, an endpoint, a function and an instance of that name",
            certainty="possible",
            command="./inv status lists the names",
        )
    return Diagnosis(
        cause=f"not known: {facts.reason or facts.status}",
        evidence=" | ".join(lines) if lines else "it has written no log",
        certainty="possible",
        command=f"./inv logs {facts.name}",
    )


# In the order in which equally sure ones are told: what names a cause before what names its effect.
RULES: tuple[Rule, ...] = (
    role, manifest, drivers, words, concurrency, old_model, capacity, ping, stuck, quota, plain,
)  # fmt: skip

"""The diagnosis rules: pure functions from facts to causes. Most recognise a pain of docs/aws-contracts.md.

Each rule is a generator of diagnoses; `diagnose` runs all of RULES and ranks the results.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from deploy.diagnosis.facts import Facts, ObservedFunction, ProvisionedConcurrency
from deploy.errors import DeployError
from deploy.images import checks, cuda
from deploy.jobs.failures import FIXES

Certainty = Literal["certain", "likely", "possible"]
CERTAINTIES: tuple[Certainty, ...] = ("certain", "likely", "possible")
STUCK_S = 20 * 60.0  # a container may take eight minutes to answer (rule 29), and instances take time to start
YOUNG_S = 60.0  # AWS needs 10–30 s to make a new role known everywhere (pain 16)
TELLING = re.compile(r"error|exception|traceback|fatal|failed|refused|denied|not found|killed|unable|cannot", re.I)
LINES = 5


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """A cause, its evidence, how certain it is, and the command to type next. `pain` is its number in
    docs/aws-contracts.md, or 0."""

    cause: str
    evidence: str
    certainty: Certainty
    command: str
    pain: int = 0


Rule = Callable[[Facts], Iterator[Diagnosis]]


def diagnose(facts: Facts) -> list[Diagnosis]:
    """The diagnoses of all rules, the most certain first. For a failure that no rule recognises: where to look. Empty
    when nothing is wrong."""
    by_cause: dict[str, Diagnosis] = {}
    for each in (each for rule in RULES for each in rule(facts)):
        by_cause.setdefault(each.cause, each)
    ranked = sorted(by_cause.values(), key=lambda each: CERTAINTIES.index(each.certainty))
    if not ranked and not facts.is_well and not facts.is_busy:
        return [_unknown(facts)]
    return ranked


def telling(lines: Sequence[str]) -> list[str]:
    """The most telling lines of a log: the last ones that name an error, else the last ones."""
    return [line for line in lines if TELLING.search(line)][-LINES:] or list(lines)[-LINES:]


def manifest(facts: Facts) -> Iterator[Diagnosis]:
    """Pains 1–3 and 7: an image whose manifest or configuration its consumer refuses."""
    for image in () if facts.is_well else facts.images:
        if image.facts is None:
            yield Diagnosis(
                cause=f"the image {image.uri} does not exist",
                evidence="neither ECR nor this machine's Docker holds it",
                certainty="certain",
                command="./inv push",
            )
            continue
        for fault in checks.faults(image.facts, image.consumer):
            pain = next((number for text, number in IMAGE_PAINS if text in fault), 0)
            command = "./inv push --repair" if pain in (1, 2) else "./inv build"
            yield Diagnosis(
                cause=f"the image {fault}", evidence=image.uri, certainty="certain", command=command, pain=pain
            )


IMAGE_PAINS = (("is an index", 2), ("OCI manifest", 1), ("is for ", 3), ("has no entrypoint", 7), ("GB, and", 18))


def words(facts: Facts) -> Iterator[Diagnosis]:
    """Pains 1, 3, 4, 7, 8: messages of AWS, Docker and CUDA that have one meaning only."""
    for pattern, cause, command, pain in () if facts.is_well else WORDS:
        line = next((line for line in facts.text.splitlines() if re.search(pattern, line, re.I)), "")
        if line:
            yield Diagnosis(cause=cause, evidence=line.strip(), certainty="certain", command=command, pain=pain)


WORDS: tuple[tuple[str, str, str, int], ...] = (
    (
        r"Unsupported manifest media type",
        "the image has an OCI manifest, and SageMaker accepts only Docker manifests",
        "./inv push --repair",
        1,
    ),
    (r"manifest, config or layer media type", "the image is an index, which Lambda refuses", "./inv push --repair", 2),
    (
        r"exec format error",
        "the image is for another processor architecture than the machine's, linux/amd64",
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
        "the image has no entrypoint that accepts `train` or `serve`",
        "./inv build",
        7,
    ),
    (
        r"ResourceLimitExceeded|account-level service limit",
        "the quota for this resource is too low",
        "./inv quotas --request",
        8,
    ),
    (
        r"VcpuLimitExceeded|MaxSpotInstanceCountExceeded",
        "the EC2 quota for vCPUs is too low",
        "./inv quotas --request",
        8,
    ),
)


def drivers(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 4: an image with newer CUDA than the host's driver leaves the endpoint in Creating, without a log."""
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
    """Pain 5: an endpoint stays in Creating and is billed. AWS deletes it only after it has failed."""
    if facts.status in ("Creating", "Updating", "Pending") and facts.since_s > STUCK_S:
        lines = telling(facts.lines)
        minutes = facts.since_s / 60
        yield Diagnosis(
            cause=f"stuck in {facts.status} for {minutes:.0f} minutes: the container does not answer /ping with 200",
            evidence=lines[-1] if lines else "there is no log, so the container may not even start",
            certainty="likely",
            command=f"./inv logs {facts.name}; once it has failed (it is billed until then), ./inv deploy replaces it",
            pain=5,
        )


def ping(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 6: the health check fails, and AWS's message hides what the container wrote."""
    if not facts.is_well and "ping health check" in facts.reason:
        lines = telling(facts.lines)
        yield Diagnosis(
            cause="the container starts, but does not answer GET /ping with 200 in time",
            evidence=" | ".join(lines) if lines else "the container wrote no log",
            certainty="certain",
            command=f"./inv logs {facts.name}; then try the image here: docker run --rm -p 8080:8080 IMAGE serve",
            pain=6,
        )


def quota(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 8: deploy.toml needs more than the account's quota allows."""
    for row in () if facts.is_well else facts.quotas:
        if row.is_short and row.quota:
            yield Diagnosis(
                cause=f"the quota {row.quota.name} is too low",
                evidence=f"it is {row.quota.value:g}, and {row.need.amount:g} is needed ({row.need.why})",
                certainty="certain" if facts.kind == "unknown name" else "possible",
                command="./inv quotas --request",
                pain=8,
            )


def capacity(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 13: an update without RetainAllVariantProperties reset a scaled-out variant to its initial count."""
    for variant in facts.variants:
        changed_since = variant.scaled_at and facts.changed and facts.changed > variant.scaled_at
        if changed_since and variant.scaled > variant.now == variant.initial:
            yield Diagnosis(
                cause=f"an update reset the capacity of variant {variant.name}: it came from another tool, without "
                "RetainAllVariantProperties",
                evidence=f"scaled to {variant.scaled} at {variant.scaled_at}; the endpoint was updated at "
                f"{facts.changed}; now {variant.now}, the initial count of the configuration",
                certainty="likely",
                command="./inv autoscale (scaling then continues by itself); update only with ./inv deploy",
                pain=13,
            )


def old_model(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 15: an endpoint still serves an older model although a newer one is trained."""
    for variant in facts.variants:
        newer = variant.newest_at and facts.changed and variant.newest_at > facts.changed
        if newer and variant.artifact and variant.artifact != variant.newest:
            yield Diagnosis(
                cause=f"variant {variant.name} serves an older model; a newer one is trained",
                evidence=f"it serves {variant.artifact}; {variant.newest} was finished at {variant.newest_at}",
                certainty="certain",
                command="./inv plan deploy",
                pain=15,
            )


def role(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 16: the role does not exist, trusts another service, or is too new to be known everywhere."""
    refused = re.search(r"Could not assume role|cannot be assumed|Invalid IAM Instance Profile", facts.reason, re.I)
    for each in facts.roles:
        if not each.exists:
            yield _role(f"the role {each.name} does not exist", "iam.GetRole: NoSuchEntity", "certain")
        elif each.service not in each.trusted:
            evidence = f"its trust policy allows {', '.join(each.trusted) or 'no service'}"
            yield _role(f"the role {each.name} cannot be assumed by {each.service}", evidence, "certain")
        elif refused and each.age_s < YOUNG_S:
            evidence = f"it is {each.age_s:.0f} s old: {facts.reason}"
            yield _role(f"the role {each.name} is too new: AWS does not know it everywhere yet", evidence, "likely")


def _role(cause: str, evidence: str, certainty: Certainty) -> Diagnosis:
    return Diagnosis(cause=cause, evidence=evidence, certainty=certainty, command="./inv deploy", pain=16)


def concurrency(facts: Facts) -> Iterator[Diagnosis]:
    """Pain 20: a second deploy left provisioned concurrency on the old version, or broke it."""
    function = facts.function or ObservedFunction()
    for each in function.provisioned:
        if each.status == "FAILED":
            yield _concurrency(each, f"failed to start: {each.reason or 'AWS gives no reason'}")
        elif each.qualifier not in function.aliases:
            yield _concurrency(each, "is bound to a version, not to an alias, so calls through the alias start cold")
    requested = sum(each.requested for each in function.provisioned)
    if function.reserved is not None and requested > function.reserved:
        largest = max(function.provisioned, key=lambda each: each.requested)
        yield _concurrency(largest, f"and all others add up to {requested}, more than the {function.reserved} reserved")
    for alias in function.moving:
        if any(each.qualifier == alias and each.status != "IN_PROGRESS" for each in function.provisioned):
            yield Diagnosis(
                cause=f"the alias {alias} is stuck between two versions",
                evidence="its routing sends traffic to both, and no concurrency is being provisioned any more",
                certainty="likely",
                command="./inv deploy",
                pain=20,
            )


def _concurrency(provisioned: ProvisionedConcurrency, fault: str) -> Diagnosis:
    evidence = f"{provisioned.available} of {provisioned.requested} available, status {provisioned.status}"
    return Diagnosis(
        cause=f"provisioned concurrency of {provisioned.qualifier} {fault}",
        evidence=evidence,
        certainty="certain",
        command="./inv deploy",
        pain=20,
    )


def plain(facts: Facts) -> Iterator[Diagnosis]:
    """Other reasons of AWS that have a known meaning."""
    if facts.is_well or not facts.reason:
        return
    for text, meaning in FIXES:
        if text.lower() in facts.reason.lower():
            command = f"./inv logs {facts.name}"
            yield Diagnosis(cause=meaning, evidence=facts.reason, certainty="likely", command=command)
            return


def _unknown(facts: Facts) -> Diagnosis:
    lines = telling(facts.lines)
    if facts.kind == "unknown name":
        return Diagnosis(
            cause="no job, endpoint, function or instance has that name; images, roles and quotas are in order",
            evidence="AWS knows no job, endpoint, function or instance of that name",
            certainty="possible",
            command="./inv status lists the names",
        )
    return Diagnosis(
        cause=f"no rule recognises this failure: {facts.reason or facts.status}",
        evidence=" | ".join(lines) if lines else "there is no log",
        certainty="possible",
        command=f"./inv logs {facts.name}",
    )


# Equally certain diagnoses keep this order: rules that name a cause come before rules that name its effect.
RULES: tuple[Rule, ...] = (
    role, manifest, drivers, words, concurrency, old_model, capacity, ping, stuck, quota, plain,
)  # fmt: skip

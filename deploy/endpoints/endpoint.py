"""The endpoint: created once, then moved from configuration to configuration while it serves (rules 53, 55–57, 59).

How traffic moves (canary, linear, all at once) is planned in rollout.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.autoscaling.variants import describe_config
from deploy.aws.client import lookup
from deploy.aws.requests import sagemaker
from deploy.aws.tags import sagemaker_tags, tag_list, tags_of
from deploy.config.settings import Settings
from deploy.endpoints.endpoint_config import identity, key_of
from deploy.endpoints.history import extended, history, tag
from deploy.endpoints.model import describe_model
from deploy.endpoints.spec import EndpointSpec
from deploy.errors import DeployError
from deploy.planning.resource import ResourceKind, delete, listing, require_ours, unchanged
from deploy.values import Act, Call, Change, Request, State, Step, Wait, content_hash

BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack")
BROKEN = ("Failed", "UpdateRollbackFailed")
ALL_AT_ONCE = "ALL_AT_ONCE"
OBSERVABILITY = "EnableDetailedObservability"
KIND_TAG, SHARES_TAG, PROVEN_TAG = "kennel:kind", "kennel:shares", "kennel:golden"
STARTING_S = 1800.0  # for instances and model data; the time until /ping answers is added


@dataclass(frozen=True, kw_only=True)
class Share:
    """A variant's weight among the variants, and its instance count (None: the autoscaler sets the count)."""

    weight: float
    count: int | None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An endpoint that should run the configuration `config`.

    `serves` describes that configuration for people, variant by variant. `shares` are weights and counts (none for
    serverless). `deployment` is the DeploymentConfig with which a new version takes over, `movement` the same in words.
    """

    spec: EndpointSpec
    config: str
    serves: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    shares: Mapping[str, Share] = field(default_factory=dict)
    deployment: Mapping[str, Any] = field(default_factory=dict)
    movement: str = "all traffic moves when the new instances are healthy"
    patience_s: float = 3600.0

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def kind(self) -> str:
        return self.spec.section.kind

    @property
    def address(self) -> str:
        return address_of(self.name)

    def read(self, call: Call) -> State | None:
        return read(self.name, call, config=self.config)

    def plan(self, observed: State | None) -> Step:
        if observed is None:
            return Step(action="create", address=self.address, reason="does not exist", acts=self._new())
        require_ours(self.address, observed, self.spec.tags)
        if observed.status in BROKEN or observed.status == "Deleting":
            failure = observed.attributes.get("reason") or "AWS gives no reason"
            return self._replace(observed, f"is {observed.status}: {failure}")
        if observed.tags.get(KIND_TAG, self.kind) != self.kind:
            return self._replace(observed, f"{observed.tags[KIND_TAG]} cannot become {self.kind} by an update")
        is_under_way = observed.status in BUSY and observed.attributes.get("pending") == self.config
        if observed.fields["config"] == self.config or is_under_way:
            return self._stay(observed)
        return self._move(observed)

    def _stay(self, observed: State) -> Step:
        """The configuration is right: at most weights and counts change, in place."""
        settled = (self._in_service(),) if observed.status != "InService" else ()
        entries = self._share_entries(observed)
        if self._has_recorded_shares(observed) or not entries:
            shared = () if self._has_recorded_shares(observed) else self._set_shares([], observed)
            if not settled and not shared:
                return unchanged(self.address)
            reason = f"still {observed.status}" if settled else "records its weights and counts in a tag"
            return Step(action="update", address=self.address, reason=reason, acts=(*settled, *shared))
        return Step(
            action="update",
            address=self.address,
            reason="other weights or instance counts",
            acts=(*settled, *self._set_shares(entries, observed)),
            changes=self._share_changes(entries, observed),
            touches="in place: the instances that stay keep serving",
        )

    def _move(self, observed: State) -> Step:
        """Another configuration: a blue/green update."""
        self._require_same_variants(observed)
        past = extended(history(observed.tags), running=key_of(str(observed.fields["config"])), new=key_of(self.config))
        settled = (self._settled(),) if observed.status in BUSY else ()
        names, is_serverless = observed.fields.get("shares", ()), self.spec.is_serverless
        change = update(
            self.name, self.config, self.deployment, before=names, after=self.serves, is_serverless=is_serverless
        )
        moved = (self._record_past(past, observed), change, self._in_service())
        entries = [] if self._has_recorded_shares(observed) else self._share_entries(observed)
        shared = () if self._has_recorded_shares(observed) else self._set_shares(entries, observed)
        return Step(
            action="update",
            address=self.address,
            reason=f"another version{self._last_try(observed)}",
            acts=(*settled, *moved, *shared),
            changes=(*self._changes(observed), *self._share_changes(entries, observed)),
            touches=self._movement(observed) + self._capacity(observed),
        )

    def _last_try(self, observed: State) -> str:
        """Why AWS rolled this version back when an earlier deploy tried it; "" for a version that is new."""
        was_tried = history(observed.tags)[-1:] == (key_of(self.config),)
        why = observed.attributes.get("reason")
        return f"; the last deploy tried it and AWS rolled it back: {why}" if was_tried and why else ""

    def _replace(self, observed: State, reason: str) -> Step:
        is_gone = _is_gone(self.name)
        gone: tuple[Act, ...] = (is_gone,) if observed.status == "Deleting" else (_delete(self.name), is_gone)
        serves_now = observed.status not in BROKEN and observed.status != "Deleting"
        touches = "requests fail until the new endpoint is in service" if serves_now else "nothing serves now"
        return Step(action="replace", address=self.address, reason=reason, acts=(*gone, *self._new()), touches=touches)

    def _new(self) -> tuple[Act, ...]:
        more = {KIND_TAG: self.kind, SHARES_TAG: self._shares_key()} if self.shares else {KIND_TAG: self.kind}
        past = tag(extended((), running="", new=key_of(self.config)))
        create = sagemaker(
            "CreateEndpoint",
            EndpointName=self.name,
            EndpointConfigName=self.config,
            Tags=[*tag_list({**self.spec.tags, **more}), past],
        )
        return (create, self._in_service())

    def _movement(self, observed: State) -> str:
        """How traffic moves, in words."""
        running, routing = observed.fields.get("shares", {}), self._routing()
        if not are_same(running, self.serves):
            return (
                "all traffic moves at once when the new instances are healthy; no alarm watches, because the "
                "variants have other names"
            )
        lone = [name for name, share in running.items() if share.get("instances") == 1]
        if routing == ALL_AT_ONCE or not lone:
            return self.movement
        return f"{self.movement}; {', '.join(lone)} has one instance, and AWS does not say what a part of one is"

    def _routing(self) -> str:
        policy = self.deployment.get("BlueGreenUpdatePolicy", {})
        return str(policy.get("TrafficRoutingConfiguration", {}).get("Type", ALL_AT_ONCE))

    def _require_same_variants(self, observed: State) -> None:
        """Traffic shifts step by step between variants of the same names only (rule 57)."""
        routing, before, after = self._routing(), observed.fields.get("shares", ()), self.serves
        if routing != ALL_AT_ONCE and not are_same(before, after):
            raise DeployError(
                f"{self.address}: {routing.lower()} needs the same variants before and after, and "
                f"{', '.join(sorted(before))} become {', '.join(sorted(after))}; "
                'deploy this change once with rollout.how = "all-at-once"'
            )

    def _share_entries(self, observed: State) -> list[dict[str, Any]]:
        """The changes for UpdateEndpointWeightsAndCapacities. A new variant is always among them, because its
        configuration may have been made with other weights."""
        entries = []
        for name, share in self.shares.items():
            running = observed.fields.get("shares", {}).get(name, {})
            entry: dict[str, Any] = {}
            if running.get("weight") != share.weight:
                entry["DesiredWeight"] = share.weight
            if share.count is not None and running.get("instances") != share.count:
                entry["DesiredInstanceCount"] = share.count
            if entry:
                entries.append({"VariantName": name, **entry})
        return entries

    def _set_shares(self, entries: list[dict[str, Any]], observed: State) -> tuple[Act, ...]:
        """Changes what differs, and records in a tag what deploy.toml asked for."""
        recorded = record(observed.attributes["arn"], SHARES_TAG, self._shares_key())
        if not entries:
            return (recorded,)
        change = sagemaker(
            "UpdateEndpointWeightsAndCapacities", EndpointName=self.name, DesiredWeightsAndCapacities=entries
        )
        return (change, self._in_service(), recorded)

    def _share_changes(self, entries: list[dict[str, Any]], observed: State) -> tuple[Change, ...]:
        words = (("DesiredWeight", "weight"), ("DesiredInstanceCount", "instances"))
        running = observed.fields.get("shares", {})
        return tuple(
            Change(field=f"{entry['VariantName']}.{word}", before=running.get(entry["VariantName"], {}).get(word),
                   after=entry[key])
            for entry in entries for key, word in words if key in entry
        )  # fmt: skip

    def _changes(self, observed: State) -> tuple[Change, ...]:
        """The configuration, then what differs in it, variant by variant."""
        before: Mapping[str, Mapping[str, Any]] = observed.fields.get("serves", {})
        changes = [Change(field="config", before=observed.fields["config"], after=self.config)]
        for name in sorted({*before, *self.serves}) if before else ():
            old, new = before.get(name, {}), self.serves.get(name, {})
            changes += [
                Change(field=f"{name}.{key}", before=old.get(key), after=new.get(key))
                for key in sorted({*old, *new})
                if old.get(key) != new.get(key)
            ]
        return tuple(changes)

    def _capacity(self, observed: State) -> str:
        running = observed.fields.get("shares", {})
        if not stay(running, self.serves):
            return "; the capacity begins anew"
        kept = ", ".join(
            f"{name} {share['instances']}"
            for name, share in running.items()
            if share.get("instances") and (name in self.serves or not self.serves)
        )
        return f"; the capacity stays ({kept})" if kept else "; the capacity stays"

    def _has_recorded_shares(self, observed: State) -> bool:
        """Whether the last deploy set these same shares. Scaling since then, by hand or automatic, is left alone."""
        return not self.shares or observed.tags.get(SHARES_TAG, self._shares_key()) == self._shares_key()

    def _shares_key(self) -> str:
        return content_hash({name: vars(share) for name, share in self.shares.items()})

    def _record_past(self, past: tuple[str, ...], observed: State) -> Request:
        return sagemaker("AddTags", ResourceArn=observed.attributes["arn"], Tags=[tag(past)])

    def _in_service(self) -> Wait:
        return in_service(self.name, self.config, patience_s=self.patience_s)

    def _settled(self) -> Wait:
        """AWS refuses an update during another (rule 59)."""
        request = describe(self.name)
        return Wait(request=request, path="EndpointStatus", until="InService", failed=BROKEN, timeout=self.patience_s)


def address_of(name: str) -> str:
    return f"endpoint/{name}"


def describe(name: str) -> Request:
    return sagemaker("DescribeEndpoint", EndpointName=name)


def read(name: str, call: Call, *, config: str = "") -> State | None:
    """The endpoint as it is on AWS. Its configuration is described variant by variant unless it is `config`."""
    answer = lookup(call, describe(name))
    if answer is None:
        return None
    running = answer.get("EndpointConfigName", "")
    return State(
        fields={
            "config": running,
            "shares": {each["VariantName"]: _running_share(each) for each in answer.get("ProductionVariants", ())},
            "serves": {} if running == config else served(running, call),
        },
        attributes={
            "arn": answer["EndpointArn"],
            "reason": answer.get("FailureReason", ""),
            "pending": answer.get("PendingDeploymentSummary", {}).get("EndpointConfigName", ""),
        },
        tags=tags_of(call(sagemaker("ListTags", ResourceArn=answer["EndpointArn"])).get("Tags", ())),
        status=answer["EndpointStatus"],
    )


def remove(name: str) -> Step:
    return delete(address_of(name), _delete(name), _is_gone(name), touches="requests fail once it is deleted")


def record(arn: str, key: str, value: str) -> Request:
    """A tag that records what this deploy did, for the next deploy to read."""
    return sagemaker("AddTags", ResourceArn=arn, Tags=[{"Key": key, "Value": value}])


def update(
    name: str,
    config: str,
    deployment: Mapping[str, Any],
    *,
    before: Collection[str],
    after: Collection[str],
    is_serverless: bool,
) -> Request:
    """UpdateEndpoint from the variants `before` to those `after`.

    It keeps the capacity of variants that stay, which AWS would otherwise reset (rule 53); a serverless endpoint has
    none to keep. A blue/green policy asks for the same names before and after (rule 57); without one AWS moves all
    traffic at once.
    """
    keep = {"RetainAllVariantProperties": True} if stay(before, after) and not is_serverless else {}
    guard = {"DeploymentConfig": dict(deployment)} if deployment and are_same(before, after) else {}
    return sagemaker("UpdateEndpoint", EndpointName=name, EndpointConfigName=config, **keep, **guard)


def are_same(before: Collection[str], after: Collection[str]) -> bool:
    """Whether two configurations have variants of the same names; so too where those of one are not known."""
    return not before or not after or set(before) == set(after)


def stay(before: Collection[str], after: Collection[str]) -> bool:
    """Whether a variant keeps its name."""
    return are_same(before, after) or bool(set(before) & set(after))


def in_service(name: str, config: str, *, patience_s: float) -> Wait:
    """Waits until the endpoint serves `config`."""
    return Wait(
        request=describe(name),
        path="EndpointStatus",
        until="InService",
        failed=(*BROKEN, "OutOfService"),
        reason="FailureReason",
        expect={"EndpointConfigName": config},
        unmet="the new instances did not become healthy",
        timeout=patience_s,
        fix=f"./inv logs {name} shows the containers' logs; ./inv why {name} diagnoses the failure",
    )


def served(config: str, call: Call) -> dict[str, dict[str, Any]]:
    """What a configuration serves, by variant: the model's container and the variant's own fields."""
    answer = describe_config(config, call) or {}
    variants = {}
    for variant in answer.get("ProductionVariants", ()):
        model = describe_model(variant["ModelName"], call) or {}
        variants[variant["VariantName"]] = facts(
            variant, model.get("PrimaryContainer", {}), answer.get("MetricsConfig", {})
        )
    return variants


def facts(variant: Mapping[str, Any], container: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """A variant for people to compare: without names that are hashes and without weights, which change separately.

    Of the container only what Kennel sends: AWS shows defaults beside it (rule 103). `metrics` is the MetricsConfig of
    its configuration.
    """
    sent = {key: container.get(key) for key in ("Image", "ModelDataUrl", "Environment")}
    own = {key: value for key, value in identity(variant).items() if key not in ("VariantName", "ModelName")}
    own[OBSERVABILITY] = metrics.get(OBSERVABILITY)
    return {key: value for key, value in {**sent, **own}.items() if value not in ({}, None, "")}


def _delete(name: str) -> Request:
    return sagemaker("DeleteEndpoint", EndpointName=name)


def _is_gone(name: str) -> Wait:
    return Wait(request=describe(name), gone=True)


def _running_share(variant: Mapping[str, Any]) -> dict[str, Any]:
    return {"weight": variant.get("DesiredWeight"), "instances": variant.get("DesiredInstanceCount")}


def _state(name: str, _: Settings, call: Call) -> str:
    return str((lookup(call, describe(name)) or {}).get("EndpointStatus", "gone"))


KIND = ResourceKind(
    name="endpoint",
    names=listing("sagemaker", "ListEndpoints", "Endpoints", "EndpointName", NameContains="{prefix}"),
    tags=sagemaker_tags("endpoint"),
    remove=lambda name, _: remove(name),
    state=_state,
)

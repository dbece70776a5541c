"""The endpoint: made once, then moved from configuration to configuration without a gap (rules 53, 55–57, 59)."""

from __future__ import annotations

from collections.abc import Mapping
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
from deploy.errors import DeployError
from deploy.planning.resource import ResourceKind, delete, listing, require_ours, unchanged
from deploy.values import Act, Call, Change, Request, State, Step, Wait, content_hash

BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack")
BROKEN = ("Failed", "UpdateRollbackFailed")
ALL_AT_ONCE = "ALL_AT_ONCE"
KIND_TAG, SHARES_TAG, PROVEN_TAG = "kennel:kind", "kennel:shares", "kennel:golden"
STARTING_S = 1800.0  # for instances and model data, beside what the container may take to answer /ping


@dataclass(frozen=True, kw_only=True)
class Share:
    """What a variant is to have: its weight among the variants, and its instances (None: the autoscaler's)."""

    weight: float
    count: int | None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An endpoint that should be at `config`. `serves` is what that is, variant by variant, for people to read;
    `shares` are weights and counts (none for serverless), `deployment` and `movement` how a new version takes over."""

    name: str
    kind: str
    config: str
    serves: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    shares: Mapping[str, Share] = field(default_factory=dict)
    deployment: Mapping[str, Any] = field(default_factory=dict)
    movement: str = ""
    patience_s: float = 3600.0
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"endpoint/{self.name}"

    def read(self, call: Call) -> State | None:
        answer = lookup(call, self._describe())
        if answer is None:
            return None
        variants = answer.get("ProductionVariants", ())
        running = answer.get("EndpointConfigName", "")
        return State(
            fields={
                "config": running,
                "shares": {each["VariantName"]: _running_share(each) for each in variants},
                "serves": {} if running == self.config else served(running, call),
            },
            attributes={
                "arn": answer["EndpointArn"],
                "reason": answer.get("FailureReason", ""),
                "pending": answer.get("PendingDeploymentSummary", {}).get("EndpointConfigName", ""),
            },
            tags=tags_of(call(sagemaker("ListTags", ResourceArn=answer["EndpointArn"])).get("Tags", ())),
            status=answer["EndpointStatus"],
        )

    def plan(self, seen: State | None) -> Step:
        if seen is None:
            return Step(action="create", address=self.address, reason="does not exist", acts=self._new())
        require_ours(self.address, seen, self.tags)
        if seen.status in BROKEN or seen.status == "Deleting":
            return self._replace(seen, f"is {seen.status}: {seen.attributes.get('reason') or 'no reason given'}")
        if seen.tags.get(KIND_TAG, self.kind) != self.kind:
            return self._replace(seen, f"{seen.tags[KIND_TAG]} cannot become {self.kind} by an update")
        is_under_way = seen.status in BUSY and seen.attributes.get("pending") == self.config
        if seen.fields["config"] == self.config or is_under_way:
            return self._stay(seen)
        return self._move(seen)

    def _stay(self, seen: State) -> Step:
        """The configuration is right: at most weights and counts change, in place."""
        settled = (self._in_service(),) if seen.status != "InService" else ()
        entries = self._entries(seen)
        if self._is_shared(seen) or not entries:
            shared = () if self._is_shared(seen) else self._share_out([], seen)
            if not settled and not shared:
                return unchanged(self.address)
            reason = f"still {seen.status}" if settled else "weights and counts are noted as they are"
            return Step(action="update", address=self.address, reason=reason, acts=(*settled, *shared))
        return Step(
            action="update",
            address=self.address,
            reason="other weights or instance counts",
            acts=(*settled, *self._share_out(entries, seen)),
            changes=self._share_changes(entries, seen),
            touches="in place: the instances that stay go on serving",
        )

    def _move(self, seen: State) -> Step:
        """Another configuration: blue/green."""
        self._require_same_variants(seen)
        past = extended(history(seen.tags), running=key_of(str(seen.fields["config"])), wanted=key_of(self.config))
        settled = (self._settled(),) if seen.status in BUSY else ()
        moved = (self._record_past(past, seen), update(self.name, self.config, self.deployment), self._in_service())
        entries = [] if self._is_shared(seen) else self._entries(seen)
        shared = () if self._is_shared(seen) else self._share_out(entries, seen)
        return Step(
            action="update",
            address=self.address,
            reason=f"another version{self._last_try(seen)}",
            acts=(*settled, *moved, *shared),
            changes=(*self._changes(seen), *self._share_changes(entries, seen)),
            touches=f"{self.movement or 'all traffic moves when the new instances are healthy'}{self._capacity(seen)}",
        )

    def _last_try(self, seen: State) -> str:
        """Of a version that was tried already and rolled back by itself, AWS keeps the reason."""
        was_tried = history(seen.tags)[-1:] == (key_of(self.config),)
        why = seen.attributes.get("reason")
        return f"; when it was last tried it was rolled back: {why}" if was_tried and why else ""

    def _replace(self, seen: State, reason: str) -> Step:
        gone: tuple[Act, ...] = (self._is_gone(),) if seen.status == "Deleting" else (self._delete(), self._is_gone())
        serves_now = seen.status not in BROKEN and seen.status != "Deleting"
        touches = "nothing answers until the new one is in service" if serves_now else "nothing serves now"
        return Step(action="replace", address=self.address, reason=reason, acts=(*gone, *self._new()), touches=touches)

    def remove(self) -> Step:
        return delete(self.address, self._delete(), self._is_gone(), touches="nothing answers any more")

    def _new(self) -> tuple[Act, ...]:
        more = {KIND_TAG: self.kind, SHARES_TAG: self._shares_key()} if self.shares else {KIND_TAG: self.kind}
        past = tag(extended((), running="", wanted=key_of(self.config)))
        create = sagemaker(
            "CreateEndpoint",
            EndpointName=self.name,
            EndpointConfigName=self.config,
            Tags=[*tag_list({**self.tags, **more}), past],
        )
        return (create, self._in_service())

    def _require_same_variants(self, seen: State) -> None:
        """Traffic shifts step by step between variants of the same names only (rule 57)."""
        routing = self.deployment.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
        before, after = set(seen.fields.get("shares", ())), set(self.serves)
        if routing.get("Type", ALL_AT_ONCE) != ALL_AT_ONCE and before and before != after:
            raise DeployError(
                f"{self.address}: {routing['Type'].lower()} needs the same variants before and after, and "
                f"{', '.join(sorted(before))} become {', '.join(sorted(after))} (rule 57); "
                'deploy this change once with rollout.how = "all-at-once"'
            )

    def _entries(self, seen: State) -> list[dict[str, Any]]:
        """What UpdateEndpointWeightsAndCapacities is to change. A variant that comes new is told in any case: its
        configuration may be one of earlier weights."""
        entries = []
        for name, share in self.shares.items():
            running = seen.fields.get("shares", {}).get(name, {})
            entry: dict[str, Any] = {}
            if running.get("weight") != share.weight:
                entry["DesiredWeight"] = share.weight
            if share.count is not None and running.get("instances") != share.count:
                entry["DesiredInstanceCount"] = share.count
            if entry:
                entries.append({"VariantName": name, **entry})
        return entries

    def _share_out(self, entries: list[dict[str, Any]], seen: State) -> tuple[Act, ...]:
        """Changes what differs, and notes what deploy.toml asked for."""
        record = self._record(SHARES_TAG, self._shares_key(), seen)
        if not entries:
            return (record,)
        change = sagemaker(
            "UpdateEndpointWeightsAndCapacities", EndpointName=self.name, DesiredWeightsAndCapacities=entries
        )
        return (change, self._in_service(), record)

    def _share_changes(self, entries: list[dict[str, Any]], seen: State) -> tuple[Change, ...]:
        words = (("DesiredWeight", "weight"), ("DesiredInstanceCount", "instances"))
        running = seen.fields.get("shares", {})
        return tuple(
            Change(field=f"{entry['VariantName']}.{word}", before=running.get(entry["VariantName"], {}).get(word),
                   after=entry[key])
            for entry in entries for key, word in words if key in entry
        )  # fmt: skip

    def _changes(self, seen: State) -> tuple[Change, ...]:
        """The configuration, then what differs in it, variant by variant."""
        before: Mapping[str, Mapping[str, Any]] = seen.fields.get("serves", {})
        found = [Change(field="config", before=seen.fields["config"], after=self.config)]
        for name in sorted({*before, *self.serves}) if before else ():
            old, new = before.get(name, {}), self.serves.get(name, {})
            found += [
                Change(field=f"{name}.{key}", before=old.get(key), after=new.get(key))
                for key in sorted({*old, *new})
                if old.get(key) != new.get(key)
            ]
        return tuple(found)

    def _capacity(self, seen: State) -> str:
        running = seen.fields.get("shares", {})
        kept = ", ".join(f"{name} {share['instances']}" for name, share in running.items() if share.get("instances"))
        return f"; the capacity stays ({kept})" if kept else "; the capacity stays"

    def _is_shared(self, seen: State) -> bool:
        """Whether the last deploy set these same shares; what was scaled by hand or by itself since is left alone."""
        return not self.shares or seen.tags.get(SHARES_TAG, self._shares_key()) == self._shares_key()

    def _shares_key(self) -> str:
        return content_hash({name: vars(share) for name, share in self.shares.items()})

    def _record(self, key: str, value: str, seen: State) -> Request:
        return noted(seen.attributes["arn"], key, value)

    def _record_past(self, past: tuple[str, ...], seen: State) -> Request:
        return sagemaker("AddTags", ResourceArn=seen.attributes["arn"], Tags=[tag(past)])

    def _delete(self) -> Request:
        return sagemaker("DeleteEndpoint", EndpointName=self.name)

    def _describe(self) -> Request:
        return sagemaker("DescribeEndpoint", EndpointName=self.name)

    def _in_service(self) -> Wait:
        return in_service(self.name, self.config, patience_s=self.patience_s)

    def _settled(self) -> Wait:
        """An update during another is refused (rule 59)."""
        request = self._describe()
        return Wait(request=request, path="EndpointStatus", until="InService", failed=BROKEN, timeout=self.patience_s)

    def _is_gone(self) -> Wait:
        return Wait(request=self._describe(), gone=True)


def noted(arn: str, key: str, value: str) -> Request:
    """A tag that keeps what was done, where the next deploy looks."""
    return sagemaker("AddTags", ResourceArn=arn, Tags=[{"Key": key, "Value": value}])


def update(name: str, config: str, deployment: Mapping[str, Any]) -> Request:
    """UpdateEndpoint that keeps scaled-out capacity, which AWS would else throw away (rule 53)."""
    more = {"DeploymentConfig": dict(deployment)} if deployment else {}
    return sagemaker(
        "UpdateEndpoint", EndpointName=name, EndpointConfigName=config, RetainAllVariantProperties=True, **more
    )


def in_service(name: str, config: str, *, patience_s: float) -> Wait:
    """Until the endpoint serves `config`; says what to do when it does not."""
    return Wait(
        request=sagemaker("DescribeEndpoint", EndpointName=name),
        path="EndpointStatus",
        until="InService",
        failed=(*BROKEN, "OutOfService"),
        reason="FailureReason",
        expect={"EndpointConfigName": config},
        unmet="the new instances did not become healthy",
        timeout=patience_s,
        fix=f"./inv logs {name} shows what the containers wrote, ./inv why {name} what it means",
    )


def served(config: str, call: Call) -> dict[str, dict[str, Any]]:
    """What a configuration serves, by variant: the model's container and the variant's own fields."""
    answer = describe_config(config, call) or {}
    found = {}
    for variant in answer.get("ProductionVariants", ()):
        model = describe_model(variant["ModelName"], call) or {}
        found[variant["VariantName"]] = facts(variant, model.get("PrimaryContainer", {}))
    return found


def facts(variant: Mapping[str, Any], container: Mapping[str, Any]) -> dict[str, Any]:
    """A variant for people to compare: no names that are hashes, and no weights, which change apart."""
    own = {key: value for key, value in identity(variant).items() if key not in ("VariantName", "ModelName")}
    return {key: value for key, value in {**container, **own}.items() if value not in ({}, None, "")}


def _running_share(variant: Mapping[str, Any]) -> dict[str, Any]:
    return {"weight": variant.get("DesiredWeight"), "instances": variant.get("DesiredInstanceCount")}


def _state(name: str, _: Settings, call: Call) -> str:
    return str((lookup(call, sagemaker("DescribeEndpoint", EndpointName=name)) or {}).get("EndpointStatus", "gone"))


KIND = ResourceKind(
    name="endpoint",
    names=listing("sagemaker", "ListEndpoints", "Endpoints", "EndpointName", NameContains="{prefix}"),
    tags=sagemaker_tags("endpoint"),
    remove=lambda name, settings: Endpoint(name=name, kind="", config="", tags=settings.tags).remove(),
    state=_state,
)

"""Endpoints as SageMaker's API serves them: states, blue/green updates, scaling, deletion."""

import logging
import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from localcloud.cloud import Cloud
from localcloud.containers.engine import EngineError
from localcloud.sagemaker.hosting.configs import Catalogue
from localcloud.sagemaker.hosting.fleet import Endpoint, Fleet, Variant
from localcloud.sagemaker.hosting.instances import Host, InstanceSpec, StartError, each_at_once
from localcloud.sagemaker.hosting.scaled_variants import require_released
from localcloud.sagemaker.hosting.summaries import described, planned
from localcloud.sagemaker.hosting.traffic import Share, initial_share, traffic_steps, updated_shares
from localcloud.sagemaker.records import Params, invalid, page
from localcloud.service_quotas.limits import endpoint_use, require_variants

WATCH_SECONDS = 3.0
IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


class RollbackError(Exception):
    """An alarm ended an update; the message becomes the endpoint's FailureReason."""


@dataclass(kw_only=True)
class Endpoints:
    """The operations on endpoints. `spawn` runs work in a thread; `alarmed` returns which of the named alarms ring.

    `scaled` returns the variants of an endpoint that are scalable targets. `watched` says to replace dead instances.
    """

    cloud: Cloud
    catalogue: Catalogue
    host: Host
    alarmed: Callable[[Sequence[str]], list[str]]
    spawn: Callable[..., None]
    scaled: Callable[[str], Collection[str]] = lambda _: ()
    watched: bool = True
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Return the operations served here, by their API names."""
        return {
            "CreateEndpoint": self.create,
            "DescribeEndpoint": self.describe,
            "UpdateEndpoint": self.update,
            "UpdateEndpointWeightsAndCapacities": self.update_shares,
            "DeleteEndpoint": self.delete,
            "ListEndpoints": self.list,
        }

    def find(self, name: str) -> Endpoint | None:
        """Return the endpoint, whatever the case of its name, or None."""
        with self.lock:
            return self.endpoints.get(name.lower())

    def get(self, name: str) -> Endpoint:
        """Return the endpoint, or raise as DescribeEndpoint does."""
        endpoint = self.find(name)
        if endpoint is None:
            raise invalid(f'Could not find endpoint "{self._arn(name)}".')
        return endpoint

    def running(self, *, asynchronous: bool = False) -> Iterator[tuple[str, str, int]]:
        """Yield (endpoint, variant, instance count) of the asynchronous endpoints that run, or of the others."""
        for endpoint in list(self.endpoints.values()):
            fleet = endpoint.fleet
            if fleet is not None and bool(fleet.asynchronous) == asynchronous:
                for name, variant in fleet.variants.items():
                    yield endpoint.name, name, len(variant.instances)

    def _arn(self, name: str) -> str:
        return self.cloud.arn("sagemaker", f"endpoint/{name.lower()}")

    # ------------------------------------------------------------------------------------------ create, delete

    def create(self, params: Params) -> Params:
        """CreateEndpoint: the endpoint is Creating until every instance answers /ping."""
        name, arn = params["EndpointName"], self._arn(params["EndpointName"])
        config = self.catalogue.configs.get(params["EndpointConfigName"])
        specs = self._specs(name, config)
        used = endpoint_use(endpoint.fleet for endpoint in list(self.endpoints.values()))
        require_variants(self.cloud.quotas, config["ProductionVariants"], used)
        shares = {variant["VariantName"]: initial_share(variant) for variant in config["ProductionVariants"]}
        now = self.cloud.now()
        with self.lock:
            if name.lower() in self.endpoints:
                raise invalid(f'Cannot create already existing endpoint "{arn}".')
            endpoint = Endpoint(
                name=name, arn=arn, config=config["EndpointConfigName"], created=now, modified=now,
                deployment=params.get("DeploymentConfig"), planned=shares,
            )  # fmt: skip
            self.endpoints[name.lower()] = endpoint
        self.cloud.tags.put(arn, params.get("Tags"))
        self.spawn(self._guarded, endpoint, self._bring_up, specs, shares)
        return {"EndpointArn": arn}

    def _guarded(self, endpoint: Endpoint, change: Callable[..., None], *arguments: Any) -> None:
        """Make a change. Whatever goes wrong, the endpoint ends InService or Failed, never in progress."""
        try:
            change(endpoint, *arguments)
        except Exception as error:
            logging.getLogger(__name__).exception("a change of endpoint %s failed", endpoint.name)
            with endpoint.lock:
                green, endpoint.green, endpoint.green_share = endpoint.green, None, 0.0
            status = "InService" if endpoint.fleet is not None else "Failed"
            self._settle(endpoint, status=status, reason=f"localcloud could not: {type(error).__name__}: {error}")
            if green is not None and green is not endpoint.fleet:
                self._retire(green)

    def _bring_up(self, endpoint: Endpoint, specs: list[InstanceSpec], shares: Mapping[str, Share]) -> None:
        try:
            fleet = self._raise_fleet(endpoint.config, specs, shares)
        except StartError as error:
            self._settle(endpoint, status="Failed", reason=str(error))
            return
        endpoint.fleet = fleet
        self._settle(endpoint, status="InService")
        if self.watched:
            self.spawn(self.watch, endpoint)

    def delete(self, params: Params) -> Params:
        """DeleteEndpoint, unless a change is in progress; Describe finds the endpoint until its containers are gone."""
        endpoint = self.get(params["EndpointName"])
        self._begin(endpoint, "Deleting", anyway=("Failed",))
        self.spawn(self._take_down, endpoint)
        return {}

    def _take_down(self, endpoint: Endpoint) -> None:
        with endpoint.lock:
            fleet, endpoint.fleet = endpoint.fleet, None
        endpoint.wake.set()
        try:
            if fleet is not None:
                fleet.close()
        finally:
            self.cloud.tags.forget(endpoint.arn)
            with self.lock:
                self.endpoints.pop(endpoint.name.lower(), None)

    # ------------------------------------------------------------------------------------------ change

    def update(self, params: Params) -> Params:
        """UpdateEndpoint, blue/green: start new containers, move the traffic, drain the old ones (rules 53, 55, 59)."""
        endpoint = self.get(params["EndpointName"])
        deployment = params.get("DeploymentConfig") or {}
        if params.get("RetainDeploymentConfig") and not deployment:
            deployment = endpoint.deployment or {}
        if "RollingUpdatePolicy" in deployment:
            raise invalid("localcloud has no rolling updates: use BlueGreenUpdatePolicy.")
        config = self.catalogue.configs.get(params["EndpointConfigName"])
        running = endpoint.fleet.variants if endpoint.fleet else {}
        before = {name: variant.spec.variant for name, variant in running.items()}
        require_released(self.scaled(endpoint.name), before, config["ProductionVariants"])
        specs = self._specs(endpoint.name, config)
        shares = updated_shares(
            config["ProductionVariants"],
            {name: variant.share for name, variant in endpoint.fleet.variants.items()} if endpoint.fleet else {},
            retain=params.get("RetainAllVariantProperties", False),
            exclude=[entry["VariantPropertyType"] for entry in params.get("ExcludeRetainedVariantProperties", [])],
        )
        self._begin(endpoint, "Updating")
        endpoint.pending = {"EndpointConfigName": config["EndpointConfigName"], "StartTime": self.cloud.now()}
        self.spawn(
            self._guarded, endpoint, self._replace_fleet, config["EndpointConfigName"], specs, shares, deployment
        )
        return {"EndpointArn": endpoint.arn}

    def _replace_fleet(
        self,
        endpoint: Endpoint,
        config: str,
        specs: list[InstanceSpec],
        shares: Mapping[str, Share],
        deployment: Params,
    ) -> None:
        try:
            green = self._raise_fleet(config, specs, shares)
        except StartError as error:
            self._settle(endpoint, status="InService", reason=str(error))
            return
        try:
            self._shift(endpoint, green, deployment)
        except RollbackError as error:
            self._retire(green)
            self._settle(endpoint, status="InService", reason=str(error))
            return
        self._settle(endpoint, status="InService", config=config, deployment=deployment)

    def _shift(self, endpoint: Endpoint, green: Fleet, deployment: Params) -> None:
        """Move traffic step by step, then retire the old fleet.

        Raises RollbackError once the traffic is back on the old fleet.
        """
        policy = deployment.get("BlueGreenUpdatePolicy", {})
        alarms = [a["AlarmName"] for a in deployment.get("AutoRollbackConfiguration", {}).get("Alarms", [])]
        count = sum(variant.share.count for variant in green.variants.values())
        blue = endpoint.fleet
        with endpoint.lock:
            endpoint.green, endpoint.green_share = green, 0.0
        try:
            for step in traffic_steps(deployment, count):
                endpoint.green_share = step.green
                self._bake(step.wait, alarms)
            self._bake(float(policy.get("TerminationWaitInSeconds", 0)), alarms)
        except RollbackError:
            with endpoint.lock:
                endpoint.status, endpoint.green, endpoint.green_share = "RollingBack", None, 0.0
            raise
        with endpoint.lock:
            endpoint.fleet, endpoint.green, endpoint.green_share = green, None, 0.0
        if blue is not None:
            self._retire(blue)

    def _bake(self, seconds: float, alarms: Sequence[str]) -> None:
        """Wait and check the alarms every second. Raises RollbackError."""
        until = self.host.clock() + seconds
        while True:
            if alarms and (ringing := self.alarmed(alarms)):
                raise RollbackError(f"One or more configured alarms are in ALARM state: {', '.join(ringing)}.")
            left = until - self.host.clock()
            if left <= 0 or self.host.closing.wait(min(left, 1.0)):
                return

    def _retire(self, fleet: Fleet) -> None:
        if not self.host.closing.is_set():
            fleet.close()

    def update_shares(self, params: Params) -> Params:
        """UpdateEndpointWeightsAndCapacities: start or drain containers to match the new weights and counts."""
        endpoint = self.get(params["EndpointName"])
        fleet = endpoint.fleet
        desired: dict[str, Share] = {}
        for entry in params["DesiredWeightsAndCapacities"]:
            variant = fleet.variants.get(entry["VariantName"]) if fleet else None
            if fleet and variant is None:
                raise invalid(f'Could not find variant "{entry["VariantName"]}" of endpoint "{endpoint.arn}".')
            if variant is not None:
                desired[entry["VariantName"]] = _desired_share(variant, entry)
        self._begin(endpoint, "Updating")
        self.spawn(self._guarded, endpoint, self._rescale, desired)
        return {"EndpointArn": endpoint.arn}

    def _rescale(self, endpoint: Endpoint, desired: Mapping[str, Share]) -> None:
        reason = None
        for name, share in desired.items():
            variant = endpoint.fleet.variants[name] if endpoint.fleet else None
            if variant is None:
                continue
            before, variant.share = variant.share, share
            try:
                variant.scale(share.count)
            except StartError as error:
                variant.share, reason = replace(share, count=before.count), str(error)
        self._settle(endpoint, status="InService", reason=reason)

    def _begin(self, endpoint: Endpoint, status: str, anyway: Sequence[str] = ()) -> None:
        """Enter a status of change, unless another change is in progress (rule 59)."""
        with endpoint.lock:
            if endpoint.status in IN_PROGRESS:
                raise invalid(f'Cannot update in-progress endpoint "{endpoint.arn}".')
            if endpoint.status != "InService" and endpoint.status not in anyway:
                raise invalid(
                    f'Cannot update endpoint "{endpoint.arn}" in status {endpoint.status}: '
                    "delete it and create it again."
                )
            endpoint.status, endpoint.modified = status, self.cloud.now()

    def _settle(
        self, endpoint: Endpoint, *, status: str, reason: str | None = None, config: str = "",
        deployment: Params | None = None,
    ) -> None:  # fmt: skip
        with endpoint.lock:
            endpoint.status, endpoint.reason, endpoint.pending = status, reason, None
            endpoint.config, endpoint.deployment = config or endpoint.config, deployment or endpoint.deployment
            endpoint.modified = self.cloud.now()

    # ------------------------------------------------------------------------------------------ containers

    def _specs(self, endpoint: str, config: Params) -> list[InstanceSpec]:
        """Copy the model and configuration, so that deleting them later changes nothing."""
        work = self.cloud.state_dir / "work" / "endpoints"
        return [
            InstanceSpec(
                endpoint=endpoint,
                variant=variant,
                model=dict(self.catalogue.models.get(variant["ModelName"])),
                folder=work / f"{endpoint}-{variant['VariantName']}-{uuid.uuid4().hex[:8]}",
                asynchronous=config.get("AsyncInferenceConfig", {}),
            )
            for variant in config["ProductionVariants"]
        ]

    def _raise_fleet(self, config: str, specs: list[InstanceSpec], shares: Mapping[str, Share]) -> Fleet:
        """Start every instance of every variant. Raises StartError after stopping those that started."""
        variants = {r.name: Variant(spec=r, host=self.host, share=shares[r.name]) for r in specs}

        def bring(variant: Variant) -> StartError | None:
            try:
                variant.image, variant.resolved = self.host.prepare(variant.spec), self.cloud.now()
                variant.scale(variant.share.count)
            except StartError as error:
                return error
            except Exception as error:
                logging.getLogger(__name__).exception("an instance of %s did not start", variant.spec.endpoint)
                return StartError(f"localcloud has a bug: {type(error).__name__}: {error}")
            return None

        failed = [error for error in each_at_once(bring, list(variants.values())) if error is not None]
        fleet = Fleet(config=config, variants=variants)
        if failed:
            fleet.close()
            raise failed[0]
        return fleet

    def watch(self, endpoint: Endpoint) -> None:
        """Replace dead instances until the endpoint is deleted."""
        while not self.host.closing.is_set():
            endpoint.wake.wait(WATCH_SECONDS)
            endpoint.wake.clear()
            fleet = endpoint.fleet
            if fleet is None:
                return
            for variant in fleet.variants.values():
                try:
                    variant.replace_dead()
                except EngineError as error:  # Docker may be busy: the next round tries again
                    logging.getLogger(__name__).warning("endpoint %s: %s", endpoint.name, error)

    # ------------------------------------------------------------------------------------------ look

    def describe(self, params: Params) -> Params:
        """Answer DescribeEndpoint."""
        endpoint = self.get(params["EndpointName"])
        with endpoint.lock:
            answer = {**self._summary(endpoint), "EndpointConfigName": endpoint.config}
            if endpoint.reason:
                answer["FailureReason"] = endpoint.reason[:1024]
            if endpoint.fleet is not None:
                answer["ProductionVariants"] = [described(v) for v in endpoint.fleet.variants.values()]
            elif endpoint.status == "Creating":
                answer["ProductionVariants"] = [planned(name, share) for name, share in endpoint.planned.items()]
            if endpoint.fleet is not None and endpoint.fleet.asynchronous:
                answer["AsyncInferenceConfig"] = endpoint.fleet.asynchronous
            if endpoint.deployment:
                answer["LastDeploymentConfig"] = endpoint.deployment
            if endpoint.pending:
                answer["PendingDeploymentSummary"] = endpoint.pending
        return answer

    def list(self, params: Params) -> Params:
        """Answer ListEndpoints with its filters."""
        rows = [self._summary(endpoint) for endpoint in list(self.endpoints.values())]
        return page(rows, params, name="EndpointName", out="Endpoints")

    def _summary(self, endpoint: Endpoint) -> Params:
        return {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "EndpointStatus": endpoint.status,
            "CreationTime": endpoint.created,
            "LastModifiedTime": endpoint.modified,
        }


def _desired_share(variant: Variant, entry: Mapping[str, Any]) -> Share:
    """Return the share in one entry of UpdateEndpointWeightsAndCapacities (rule 50)."""
    count = int(entry.get("DesiredInstanceCount", variant.share.count))
    if count < 1 and not variant.spec.asynchronous:
        raise invalid(f"Variant {variant.spec.name}: DesiredInstanceCount must be at least 1.")
    if "ServerlessConfig" in variant.spec.variant and count != 1:
        raise invalid(f"Variant {variant.spec.name} is serverless and has no instances to count.")
    return Share(weight=float(entry.get("DesiredWeight", variant.share.weight)), count=count)

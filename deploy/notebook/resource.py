"""A notebook instance that stops itself when idle, and the lifecycle configuration with its idle check."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import sagemaker
from deploy.aws.tags import sagemaker_tags, tag_list, tags_of
from deploy.config.settings import Settings
from deploy.errors import DeployError
from deploy.iam.policies.notebook import instance_name
from deploy.notebook.lifecycle import on_start
from deploy.planning.resource import ResourceKind, delete, listing, require_ours, unchanged
from deploy.values import Call, Ref, Request, State, Step, Wait, differences

PLATFORM = "notebook-al2023-v1"  # Amazon Linux 2023 with JupyterLab 4
SETTLED = ("InService", "Stopped", "Failed")


@dataclass(frozen=True, kw_only=True)
class LifecycleConfig:
    """A script that runs as root at each start of the instance."""

    name: str
    script: str
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"notebook-config/{self.name}"

    def desired(self) -> dict[str, Any]:
        return {"on_start": self.script}

    def read(self, call: Call) -> State | None:
        answer = lookup(call, self._ask("DescribeNotebookInstanceLifecycleConfig"))
        if answer is None:
            return None
        scripts = [base64.b64decode(each["Content"]).decode() for each in answer.get("OnStart", ())]
        arn = answer["NotebookInstanceLifecycleConfigArn"]
        return State(fields={"on_start": "".join(scripts)}, tags=_tags(arn, call))

    def plan(self, observed: State | None) -> Step:
        content = [{"Content": base64.b64encode(self.script.encode()).decode()}]
        if observed is None:
            tags = tag_list(self.tags)
            create = self._ask("CreateNotebookInstanceLifecycleConfig", OnStart=content, Tags=tags)
            return Step(action="create", address=self.address, reason="does not exist", acts=(create,))
        require_ours(self.address, observed, self.tags)
        if not differences(observed.fields, self.desired()):
            return unchanged(self.address)
        update = self._ask("UpdateNotebookInstanceLifecycleConfig", OnStart=content)
        touches = "takes effect at the next start of the notebook"
        return Step(action="update", address=self.address, reason="differs", acts=(update,), touches=touches)

    def remove(self) -> Step:
        return delete(self.address, self._ask("DeleteNotebookInstanceLifecycleConfig"))

    def _ask(self, operation: str, **params: Any) -> Request:
        return sagemaker(operation, NotebookInstanceLifecycleConfigName=self.name, **params)


@dataclass(frozen=True, kw_only=True)
class NotebookInstance:
    """A notebook instance that should exist."""

    name: str
    instance_type: str
    volume_gb: int
    config: str
    role: Ref
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"notebook/{self.name}"

    def desired(self) -> dict[str, Any]:
        return {"instance_type": self.instance_type, "volume_gb": self.volume_gb}

    def read(self, call: Call) -> State | None:
        answer = lookup(call, self.ask("DescribeNotebookInstance"))
        if answer is None:
            return None
        fields = {"instance_type": answer.get("InstanceType"), "volume_gb": answer.get("VolumeSizeInGB")}
        tags = _tags(answer["NotebookInstanceArn"], call)
        return State(fields=fields, tags=tags, status=answer["NotebookInstanceStatus"])

    def plan(self, observed: State | None) -> Step:
        """Raises DeployError for an instance of another type or size: replacing it would lose its disk."""
        if observed is None:
            new = (self._create(), self.wait("InService"))
            return Step(
                action="create",
                address=self.address,
                reason="does not exist",
                acts=new,
                touches="billed by the hour while it runs",
            )
        require_ours(self.address, observed, self.tags)
        if observed.status == "Failed":
            acts = (self.ask("DeleteNotebookInstance"), self._is_gone(), self._create(), self.wait("InService"))
            return Step(action="replace", address=self.address, reason="is Failed", acts=acts)
        if changes := differences(observed.fields, self.desired()):
            now = ", ".join(f"{change.field} {change.before}" for change in changes)
            raise DeployError(
                f"{self.address}: exists with {now}; save the files on its disk, then ./inv notebook delete and create"
            )
        return unchanged(self.address)

    def remove(self) -> Step:
        """AWS deletes an instance only once it has stopped or failed."""
        return delete(
            self.address,
            self.wait(*SETTLED),
            self.ask("StopNotebookInstance"),
            self.wait("Stopped", "Failed"),
            self.ask("DeleteNotebookInstance"),
            self._is_gone(),
            touches="the files on its disk are lost",
        )

    def start(self) -> Step:
        acts = (self.ask("StartNotebookInstance"), self.wait("InService"))
        return Step(
            action="update", address=self.address, reason="start", acts=acts, touches="billed by the hour again"
        )

    def stop(self) -> Step:
        acts = (self.ask("StopNotebookInstance"), self.wait("Stopped", "Failed"))
        touches = "kernels end; the disk stays and is billed"
        return Step(action="update", address=self.address, reason="stop", acts=acts, touches=touches)

    def wait(self, *until: str) -> Wait:
        return Wait(
            request=self.ask("DescribeNotebookInstance"),
            path="NotebookInstanceStatus",
            until=until,
            failed=("Failed",) if "Failed" not in until else (),
            reason="FailureReason",
            timeout=1800.0,
        )

    def ask(self, operation: str, **params: Any) -> Request:
        return sagemaker(operation, NotebookInstanceName=self.name, **params)

    def _create(self) -> Request:
        return self.ask(
            "CreateNotebookInstance",
            InstanceType=self.instance_type,
            VolumeSizeInGB=self.volume_gb,
            RoleArn=self.role,
            LifecycleConfigName=self.config,
            RootAccess="Disabled",
            PlatformIdentifier=PLATFORM,
            InstanceMetadataServiceConfiguration={"MinimumInstanceMetadataServiceVersion": "2"},
            Tags=tag_list(self.tags),
        )

    def _is_gone(self) -> Wait:
        return Wait(request=self.ask("DescribeNotebookInstance"), gone=True)


def notebook(settings: Settings) -> tuple[LifecycleConfig, NotebookInstance]:
    """The resources of [notebook], in the order in which a plan creates them."""
    name, section = instance_name(settings), settings.notebook
    config = LifecycleConfig(name=name, script=on_start(section.idle_minutes), tags=settings.tags)
    return config, NotebookInstance(
        name=name,
        instance_type=section.instance_type,
        volume_gb=section.volume_gb,
        config=config.name,
        role=Ref(address=f"role/{settings.role_name('notebook')}", attribute="arn"),
        tags=settings.tags,
    )


def _tags(arn: str, call: Call) -> dict[str, str]:
    return tags_of(call(sagemaker("ListTags", ResourceArn=arn)).get("Tags", ()))


def _instance(name: str, settings: Settings) -> NotebookInstance:
    role = Ref(address="", attribute="")
    return NotebookInstance(name=name, instance_type="", volume_gb=0, config="", role=role, tags=settings.tags)


def _state(name: str, _: Settings, call: Call) -> str:
    answer = lookup(call, sagemaker("DescribeNotebookInstance", NotebookInstanceName=name)) or {}
    return str(answer.get("NotebookInstanceStatus", "gone"))


KINDS = (
    ResourceKind(
        name="notebook",
        names=listing(
            "sagemaker",
            "ListNotebookInstances",
            "NotebookInstances",
            "NotebookInstanceName",
            NameContains="{prefix}",
        ),
        tags=sagemaker_tags("notebook-instance"),
        remove=lambda name, settings: _instance(name, settings).remove(),
        state=_state,
    ),
    ResourceKind(
        name="notebook-config",
        names=listing(
            "sagemaker",
            "ListNotebookInstanceLifecycleConfigs",
            "NotebookInstanceLifecycleConfigs",
            "NotebookInstanceLifecycleConfigName",
            NameContains="{prefix}",
        ),
        tags=sagemaker_tags("notebook-instance-lifecycle-config"),
        remove=lambda name, settings: LifecycleConfig(name=name, script="", tags=settings.tags).remove(),
    ),
)

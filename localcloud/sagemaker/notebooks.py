"""Notebook instances and their lifecycle configurations: records with SageMaker's states. No Jupyter runs here."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from localcloud.cloud import Cloud
from localcloud.gateway.service import Service
from localcloud.iam import require_sagemaker_role
from localcloud.sagemaker.records import Params, invalid
from localcloud.threads import Threads

SETTLE_SECONDS = 0.5
CONFIG = "NotebookInstanceLifecycleConfig"
# Operation → the statuses that allow it, and the status that it leads to at once.
MOVES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "Start": (("Stopped",), "Pending"),
    "Stop": (("InService",), "Stopping"),
    "Delete": (("Stopped", "Failed"), "Deleting"),
    "Update": (("Stopped",), "Updating"),
}


@dataclass(kw_only=True)
class Notebooks:
    """The operations. `pause` waits so many seconds; `spawn` runs work in a thread."""

    cloud: Cloud
    spawn: Callable[..., None]
    pause: Callable[[float], object]
    instances: dict[str, Params] = field(default_factory=dict)
    configs: dict[str, Params] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Return the operations served here, by their API names."""
        return {
            "CreateNotebookInstance": self.create,
            "DescribeNotebookInstance": self.describe,
            "ListNotebookInstances": self.list,
            "StartNotebookInstance": lambda params: self._move(params, "Start", "InService"),
            "StopNotebookInstance": lambda params: self._move(params, "Stop", "Stopped"),
            "DeleteNotebookInstance": lambda params: self._move(params, "Delete", ""),
            "UpdateNotebookInstance": self.update,
            "CreatePresignedNotebookInstanceUrl": self.presign,
            f"Create{CONFIG}": self.create_config,
            f"Describe{CONFIG}": self.describe_config,
            f"Update{CONFIG}": self.update_config,
            f"Delete{CONFIG}": self.delete_config,
            f"List{CONFIG}s": self.list_configs,
        }

    # ------------------------------------------------------------------------------------------ instances

    def create(self, params: Params) -> Params:
        """Answer CreateNotebookInstance: Pending, then InService."""
        name = params["NotebookInstanceName"]
        arn = self.cloud.arn("sagemaker", f"notebook-instance/{name.lower()}")
        require_sagemaker_role(self.cloud.roles, params["RoleArn"], arn)
        if config := params.get("LifecycleConfigName"):
            self._config(config, "create the notebook instance with")
        members = {key: value for key, value in params.items() if key not in ("Tags", "LifecycleConfigName")}
        now = self.cloud.now()
        record = {
            "VolumeSizeInGB": 5, "DirectInternetAccess": "Enabled", "RootAccess": "Enabled",
            "PlatformIdentifier": "notebook-al2-v3", **members,
            "NotebookInstanceArn": arn, "NotebookInstanceStatus": "Pending",
            "CreationTime": now, "LastModifiedTime": now,
            "Url": f"{name.lower()}.notebook.{self.cloud.region}.sagemaker.aws",
            "NotebookInstanceLifecycleConfigName": config,
        }  # fmt: skip
        record.pop("SecurityGroupIds", None)
        record["SecurityGroups"] = params.get("SecurityGroupIds", [])
        with self.lock:
            if name in self.instances:
                raise invalid(f"Cannot create a duplicate Notebook Instance ({arn})")
            self.instances[name] = record
        self.cloud.tags.put(arn, params.get("Tags"))
        self.spawn(self._settle, name, "InService")
        return {"NotebookInstanceArn": arn}

    def describe(self, params: Params) -> Params:
        return dict(self._instance(params))

    def list(self, params: Params) -> Params:
        """Answer ListNotebookInstances, in one page."""
        keys = ("Name", "Arn", "Status")
        shown = [f"NotebookInstance{key}" for key in keys] + [
            "Url", "InstanceType", "CreationTime", "LastModifiedTime", "NotebookInstanceLifecycleConfigName",
        ]  # fmt: skip
        status = params.get("StatusEquals")
        rows = [
            {key: record[key] for key in shown if record.get(key) is not None}
            for name, record in _named(self.instances, params)
            if status in (None, record["NotebookInstanceStatus"]) and name
        ]
        return {"NotebookInstances": rows}

    def update(self, params: Params) -> Params:
        """Answer UpdateNotebookInstance; the instance must be stopped."""
        record = self._instance(params)
        if params.get("VolumeSizeInGB", record["VolumeSizeInGB"]) < record["VolumeSizeInGB"]:
            raise invalid("The volume of a notebook instance can only be made larger.")
        if config := params.get("LifecycleConfigName"):
            self._config(config, "update the notebook instance with")
        if role := params.get("RoleArn"):
            require_sagemaker_role(self.cloud.roles, role, record["NotebookInstanceArn"])
        self._move(params, "Update", "Stopped")
        renamed = {"LifecycleConfigName": "NotebookInstanceLifecycleConfigName"}
        record |= {renamed.get(key, key): value for key, value in params.items() if not key.startswith("Disassociate")}
        return {}

    def presign(self, params: Params) -> Params:
        """Answer CreatePresignedNotebookInstanceUrl."""
        record = self._instance(params)
        if record["NotebookInstanceStatus"] != "InService":
            raise invalid(f"Notebook Instance ({record['NotebookInstanceArn']}) is not InService.")
        return {"AuthorizedUrl": f"https://{record['Url']}?authToken=localcloud"}

    def _instance(self, params: Params) -> Params:
        with self.lock:
            if params["NotebookInstanceName"] not in self.instances:
                raise invalid("RecordNotFound")
            return self.instances[params["NotebookInstanceName"]]

    def _move(self, params: Params, operation: str, then: str) -> Params:
        """Enter an operation's status at once and the status `then` later. Raises ApiError if the status forbids it."""
        record = self._instance(params)
        allowed, status = MOVES[operation]
        with self.lock:
            if record["NotebookInstanceStatus"] not in allowed:
                now, arn = record["NotebookInstanceStatus"], record["NotebookInstanceArn"]
                raise invalid(
                    f"Status ({now}) not in ([{', '.join(allowed)}]). Unable to transition to ({status}) for "
                    f"Notebook Instance ({arn})"
                )
            record |= {"NotebookInstanceStatus": status, "LastModifiedTime": self.cloud.now()}
        self.spawn(self._settle, params["NotebookInstanceName"], then)
        return {}

    def _settle(self, name: str, status: str) -> None:
        self.pause(SETTLE_SECONDS)
        with self.lock:
            if status:
                self.instances[name]["NotebookInstanceStatus"] = status
                return
            self.cloud.tags.forget(self.instances.pop(name)["NotebookInstanceArn"])

    # ------------------------------------------------------------------------------------------ configurations

    def create_config(self, params: Params) -> Params:
        name, now = params[f"{CONFIG}Name"], self.cloud.now()
        arn = self.cloud.arn("sagemaker", f"notebook-instance-lifecycle-config/{name.lower()}")
        with self.lock:
            if name in self.configs:
                raise invalid(
                    f"Unable to create Notebook Instance Lifecycle Config {arn}. (Details: Notebook Instance Lifecycle "
                    "Config already exists.)"
                )
            members = {key: value for key, value in params.items() if key != "Tags"}
            self.configs[name] = {**members, f"{CONFIG}Arn": arn, "CreationTime": now, "LastModifiedTime": now}
        self.cloud.tags.put(arn, params.get("Tags"))
        return {f"{CONFIG}Arn": arn}

    def describe_config(self, params: Params) -> Params:
        return dict(self._config(params[f"{CONFIG}Name"], "describe"))

    def update_config(self, params: Params) -> Params:
        record = self._config(params[f"{CONFIG}Name"], "update")
        record |= {**params, "LastModifiedTime": self.cloud.now()}
        return {}

    def delete_config(self, params: Params) -> Params:
        name = params[f"{CONFIG}Name"]
        record = self._config(name, "delete")
        with self.lock:
            del self.configs[name]
        self.cloud.tags.forget(record[f"{CONFIG}Arn"])
        return {}

    def list_configs(self, params: Params) -> Params:
        """Answer ListNotebookInstanceLifecycleConfigs, in one page."""
        keys = (f"{CONFIG}Name", f"{CONFIG}Arn", "CreationTime", "LastModifiedTime")
        return {f"{CONFIG}s": [{key: record[key] for key in keys} for _, record in _named(self.configs, params)]}

    def _config(self, name: str, act: str) -> Params:
        with self.lock:
            if name not in self.configs:
                arn = self.cloud.arn("sagemaker", f"notebook-instance-lifecycle-config/{name.lower()}")
                raise invalid(
                    f"Unable to {act} Notebook Instance Lifecycle Config '{arn}'. "
                    "(Details: Notebook Instance Lifecycle Config does not exist.)"
                )
            return self.configs[name]


def _named(records: Mapping[str, Params], params: Params) -> Iterator[tuple[str, Params]]:
    """The records whose names contain NameContains, sorted by name."""
    part = str(params.get("NameContains", "")).lower()
    return ((name, records[name]) for name in sorted(records) if part in name.lower())


def service(cloud: Cloud) -> Service:
    """Return notebooks as a service of the gateway."""
    threads = Threads()
    notebooks = Notebooks(cloud=cloud, spawn=threads.spawn, pause=threads.closing.wait)
    return Service(name="sagemaker", handlers=notebooks.handlers(), close=threads.close)

"""moto's records of EC2 instances: reads them, and marks instances as ended."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

STARTING = ("pending", "running")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One instance. `role` is the role in its instance profile; `terminates`: its own shutdown terminates it."""

    id: str
    state: str
    instance_type: str
    image_id: str
    zone: str
    private_ip: str
    user_data: bytes
    tokens_required: bool
    is_spot: bool
    terminates: bool
    role: str = ""


class Records(Protocol):
    """What `Instances` needs of the records."""

    def all(self) -> list[Record]: ...
    def end(self, instance: str, *, terminate: bool, code: str, message: str) -> None: ...
    def image(self) -> str: ...


class MotoRecords:
    """moto's records, in this process."""

    def __init__(self, account: str, region: str) -> None:
        self._account, self._region = account, region

    def all(self) -> list[Record]:
        return [self._record(instance) for instance in self._backend().all_instances()]

    def end(self, instance: str, *, terminate: bool, code: str, message: str) -> None:
        """Mark an instance as terminated or stopped, with EC2's code and message for the reason."""
        from moto.ec2.models.instances import StateReason

        backend = self._backend()
        if terminate:
            backend.terminate_instances([instance])
        else:
            backend.stop_instances([instance])
        backend.get_instance(instance).state_reason = StateReason(message, code)

    def image(self) -> str:
        """An AMI of moto, as the answer to a request for the newest AMI of a kind."""
        return str(next(ami.id for ami in self._backend().describe_images() if ami.architecture == "x86_64"))

    def _backend(self) -> Any:
        from moto.ec2.models import ec2_backends

        return ec2_backends[self._account][self._region]

    def _record(self, instance: Any) -> Record:
        options: Any = instance.metadata_options
        return Record(
            id=instance.id,
            state=instance.state,
            instance_type=instance.instance_type,
            image_id=instance.image_id,
            zone=instance.availability_zone or f"{self._region}a",
            private_ip=instance.private_ip or "",
            user_data=_decoded(instance.user_data),
            tokens_required=str(options.http_tokens) == "required",
            is_spot=instance.lifecycle == "spot",
            terminates=instance.instance_initiated_shutdown_behavior == "terminate",
            role=self._role(instance.id),
        )

    def _role(self, instance: str) -> str:
        """The role of an instance, from moto's association of the instance with a profile; "" without one."""
        association: Any = self._backend().iam_instance_profile_associations.get(instance)
        roles = association.iam_instance_profile.roles if association else ()
        return str(roles[0].name) if roles else ""


def _decoded(user_data: Any) -> bytes:
    text = str(user_data or "")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return text.encode()


def too_long(form: Mapping[str, str], limit: int = 16384) -> bool:
    """Whether the user data of a RunInstances request exceeds EC2's limit, in bytes before encoding (rule 88)."""
    return len(_decoded(form.get("UserData", ""))) > limit

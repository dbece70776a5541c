"""moto's records of EC2 instances, as the room of instances reads and ends them."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

STARTING = ("pending", "running")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One instance as moto holds it. `role` is the one in its instance profile."""

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
    """What the room needs of moto; tests hold an in-memory one."""

    def all(self) -> list[Record]: ...
    def end(self, instance: str, *, terminate: bool, code: str, message: str) -> None: ...
    def image(self) -> str: ...


class MotoRecords:
    """moto's, in this process."""

    def __init__(self, account: str, region: str) -> None:
        self._account, self._region = account, region

    def all(self) -> list[Record]:
        return [self._record(instance) for instance in self._backend().all_instances()]

    def end(self, instance: str, *, terminate: bool, code: str, message: str) -> None:
        """The instance as ended, with EC2's code for why."""
        from moto.ec2.models.instances import StateReason

        backend = self._backend()
        if terminate:
            backend.terminate_instances([instance])
        else:
            backend.stop_instances([instance])
        backend.get_instance(instance).state_reason = StateReason(message, code)

    def image(self) -> str:
        """An AMI that moto knows, to answer for the newest of a kind."""
        return str(next(ami.id for ami in self._backend().describe_images() if ami.architecture == "x86_64"))

    def _backend(self) -> Any:
        from moto.ec2.models import ec2_backends

        return ec2_backends[self._account][self._region]

    def _record(self, found: Any) -> Record:
        options: Any = found.metadata_options
        return Record(
            id=found.id,
            state=found.state,
            instance_type=found.instance_type,
            image_id=found.image_id,
            zone=found.availability_zone or f"{self._region}a",
            private_ip=found.private_ip or "",
            user_data=_decoded(found.user_data),
            tokens_required=str(options.http_tokens) == "required",
            is_spot=found.lifecycle == "spot",
            terminates=found.instance_initiated_shutdown_behavior == "terminate",
            role=self._role(found.id),
        )

    def _role(self, instance: str) -> str:
        """moto fills an association's profile in when it answers RunInstances."""
        found: Any = self._backend().iam_instance_profile_associations.get(instance)
        return str(found.iam_instance_profile.roles[0].name) if found and found.iam_instance_profile.roles else ""


def _decoded(user_data: Any) -> bytes:
    text = str(user_data or "")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return text.encode()


def too_long(form: Mapping[str, str], limit: int = 16384) -> bool:
    """Whether a RunInstances' user data is over EC2's limit, in bytes before encoding (rule 88)."""
    return len(_decoded(form.get("UserData", ""))) > limit

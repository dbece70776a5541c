"""EC2 instances: moto keeps the records, and a container acts as each instance's machine.

An instance runs its user data as root. It has the metadata service, the AWS CLI, the host's Docker engine and
`shutdown`, but no kernel of its own, no NVIDIA driver and no security group. Its AMI is only a name. It can mount only
its /srv into containers.
"""

import base64
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from localcloud.aws_client import Credentials
from localcloud.cloud import Cloud
from localcloud.cloudwatch.logs import LogForwarder
from localcloud.containers.engine import LABEL, ContainerSpec, Mount
from localcloud.containers.work_folder import WorkFolder
from localcloud.ec2 import metadata
from localcloud.ec2 import tools as instance_tools
from localcloud.ec2.records import STARTING, MotoRecords, Record, Records, too_long
from localcloud.errors import ApiError, LocalcloudError
from localcloud.gateway.protocol import Response
from localcloud.gateway.service import PassToMoto, Request, Service
from localcloud.iam import require_instance_profile
from localcloud.threads import Threads

AMIS = "/aws/service/deeplearning/ami/"
BASE = "kennel/base"
OWNER = "kennel.localcloud.instance"
CONSOLE_BYTES = 64 * 1024  # EC2 keeps the last 64 KB
_AGENT = f"{instance_tools.TARGET}/machine/agent.py"


@dataclass(kw_only=True)
class Machine:
    """A started instance: its container, the tokens of its metadata service, its console's output.

    The lock of `Instances` guards `container`, `interruption`, `log_forwarders` and `is_ended`.
    """

    record: Record
    container: str = ""
    tokens: metadata.Tokens = field(default_factory=metadata.Tokens)
    interruption: datetime | None = None
    console: bytes = b""
    log_forwarders: list[LogForwarder] = field(default_factory=list)
    is_ended: bool = False


class Instances:
    """The instances of this localcloud. `tools` returns the mounts that every instance needs."""

    def __init__(self, cloud: Cloud, records: Records, tools: Callable[[], tuple[Mount, ...]]) -> None:
        self._cloud, self._records, self._tools = cloud, records, tools
        self._machines: dict[str, Machine] = {}
        self._answers: dict[str, tuple[Mapping[str, str], Response]] = {}
        self._lock = threading.RLock()
        self._threads = Threads()
        self._began = cloud.now()

    def services(self) -> list[Service]:
        changes = {name: self.change for name in ("TerminateInstances", "StopInstances", "StartInstances")}
        ec2 = Service(
            name="ec2",
            handlers={},
            wrappers={"RunInstances": self.run, "GetConsoleOutput": self.console, **changes},
            local={"POST instances/{id}/interrupt": self.interrupt},
            web={"instance": self.web},
            close=self.close,
        )
        return [ec2, Service(name="ssm", handlers={"GetParameter": self.ami})]

    def ami(self, params: dict[str, Any]) -> dict[str, Any]:
        """SSM's GetParameter: the newest deep-learning AMI is an AMI of moto. moto answers all other parameters."""
        if not params["Name"].startswith(AMIS):
            raise PassToMoto
        arn = f"arn:aws:ssm:{self._cloud.region}::parameter{params['Name']}"
        parameter = {"Name": params["Name"], "Type": "String", "Value": self._records.image(), "Version": 1, "ARN": arn}
        return {"Parameter": parameter | {"DataType": "aws:ec2:image", "LastModifiedDate": self._began}}

    # ---------------------------------------------------------------------------------------------- operations

    def run(self, form: Mapping[str, str], proceed: Callable[[], Response]) -> Response:
        """RunInstances, once for each ClientToken. The machines start after the response."""
        if too_long(form):
            raise ApiError("InvalidParameterValue", "User data is limited to 16384 bytes")
        if profile := form.get("IamInstanceProfile.Name"):
            require_instance_profile(self._cloud.roles, profile)
        token = form.get("ClientToken", "")
        with self._lock:
            if token in self._answers:
                first_form, answer = self._answers[token]
                if _comparable(first_form) != _comparable(form):
                    raise ApiError("IdempotentParameterMismatch", "Client token was used with other parameters")
                return answer
            answer = proceed()
            if token and answer.status == 200:
                self._answers[token] = (dict(form), answer)
        self._reconcile()
        return answer

    def change(self, form: Mapping[str, str], proceed: Callable[[], Response]) -> Response:  # noqa: ARG002
        answer = proceed()
        self._reconcile()
        return answer

    def console(self, form: Mapping[str, str], proceed: Callable[[], Response]) -> Response:
        """GetConsoleOutput: the container's output, also after its end."""
        with self._lock:
            machine = self._machines.get(form.get("InstanceId", ""))
        if machine is None:
            return proceed()
        output = base64.b64encode(self._console(machine)).decode()
        now = self._cloud.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<GetConsoleOutputResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>localcloud</requestId>'
            f"<instanceId>{escape(machine.record.id)}</instanceId><timestamp>{now}</timestamp>"
            f"<output>{output}</output></GetConsoleOutputResponse>"
        )
        return Response(status=200, headers={"Content-Type": "text/xml;charset=UTF-8"}, body=body.encode())

    def interrupt(self, labels: dict[str, Any]) -> dict[str, Any]:
        """Interrupt a spot instance: the notice now, the end in two minutes (rule 87)."""
        machine = self._machine(labels["id"])
        if not machine.record.is_spot:
            raise ApiError("IncorrectInstanceState", f"{labels['id']} is not a spot instance")
        end = self._cloud.now() + metadata.NOTICE
        with self._lock:
            machine.interruption = end
        self._threads.spawn(self._end_after_notice, machine)
        return {"instance": labels["id"], "time": end.isoformat()}

    def web(self, request: Request) -> Response:
        """A request of an instance: for its metadata, or to forward a container's output to CloudWatch Logs."""
        instance, _, path = request.path.partition("/")
        try:
            machine = self._machine(instance)
        except ApiError:
            return Response(status=404, headers={}, body=b"")
        if path == "localcloud/awslogs" and request.method == "POST":
            self._forward_logs(machine, dict(parse_qsl(request.query)))
            return Response(status=200, headers={}, body=b"")
        status, body = metadata.answer(
            self._facts(machine), machine.tokens, method=request.method, path=f"/{path}", headers=request.headers,
            now=self._cloud.now(),
        )  # fmt: skip
        return Response(status=status, headers={"Content-Type": "text/plain"}, body=body)

    def close(self) -> None:
        with self._lock:
            machines = list(self._machines.values())
        self._threads.closing.set()
        for machine in machines:
            self._end(machine)
        self._threads.close()

    # ---------------------------------------------------------------------------------------------- machines

    def _reconcile(self) -> None:
        """Starts and ends machines until they agree with moto's records."""
        with self._lock:
            for record in self._records.all():
                machine = self._machines.get(record.id)
                if record.state in STARTING and (machine is None or machine.is_ended):
                    self._machines[record.id] = machine = Machine(record=record)
                    self._threads.spawn(self._run_machine, machine)
                elif record.state not in STARTING and machine is not None and not machine.is_ended:
                    self._threads.spawn(self._end, machine)

    def _run_machine(self, machine: Machine) -> None:
        """Run one machine from its start to its shutdown."""
        record = machine.record
        try:
            container = self._cloud.engine.run(self._spec(record)).id
        except LocalcloudError as error:
            with self._lock:
                machine.console, machine.is_ended = f"localcloud: {error}\n".encode(), True
            self._records.end(record.id, terminate=True, code="Server.InternalError", message=f"localcloud: {error}")
            return
        with self._lock:
            machine.container = container
            ended_meanwhile = machine.is_ended
        if ended_meanwhile:
            self._cloud.engine.remove(container)
            return
        self._cloud.engine.wait(container)
        with self._lock:
            if machine.is_ended or self._threads.closing.is_set():
                return
        self._end(machine)
        code = "Client.InstanceInitiatedShutdown"
        message = f"{code}: Instance initiated shutdown"
        self._records.end(record.id, terminate=record.terminates, code=code, message=message)

    def _spec(self, record: Record) -> ContainerSpec:
        cloud, work = self._cloud, self._work(record.id)
        work.mkdir(parents=True, exist_ok=True)
        labels = {LABEL: cloud.instance, OWNER: record.id}
        return ContainerSpec(
            image=self._image(),
            name=f"{cloud.instance}-{record.id}",
            entrypoint=("python3", "-u", _AGENT),
            environment={
                "AWS_ENDPOINT_URL": cloud.container_url,
                "LOCALCLOUD_METADATA": f"{cloud.container_url}/_localcloud/instance/{record.id}",
                "LOCALCLOUD_SHARED": str(work),
                "LOCALCLOUD_LABELS": " ".join(f"{key}={value}" for key, value in labels.items()),
            },
            mounts=(*self._tools(), Mount(source=str(work), target="/srv")),
            user="0",
            capabilities=("NET_ADMIN",),
            labels={"kennel.localcloud.ec2": record.id},
        )

    def _image(self) -> str:
        images = self._cloud.engine.tagged(BASE)
        if not images:
            raise LocalcloudError(
                f"the Docker engine has no image {BASE}, on which instances run; build it: ./inv build"
            )
        return images[0]

    def _end(self, machine: Machine) -> None:
        """End a machine: remove its container and the containers that it started."""
        with self._lock:
            if machine.is_ended:
                return
            machine.is_ended = True
            forwarders = list(machine.log_forwarders)
        engine = self._cloud.engine
        if machine.container:
            engine.stop(machine.container, 5)
            machine.console = self._console(machine)
            engine.remove(machine.container)
        for state in engine.owned():
            if state.labels.get(OWNER) == machine.record.id:
                engine.remove(state.id)
        for forwarder in forwarders:
            forwarder.join(timeout=5)
        image = next(iter(engine.tagged(BASE)), "")
        name = f"{self._cloud.instance}-{machine.record.id}-clear"
        WorkFolder(engine=engine, path=self._work(machine.record.id), image=image, name=name).clear()

    def _end_after_notice(self, machine: Machine) -> None:
        if self._threads.closing.wait(metadata.NOTICE.total_seconds()):
            return
        with self._lock:
            if machine.is_ended:
                return
        self._end(machine)
        code = "Server.SpotInstanceTermination"
        message = f"{code}: Spot instance termination"
        self._records.end(machine.record.id, terminate=True, code=code, message=message)

    def _forward_logs(self, machine: Machine, options: Mapping[str, str]) -> None:
        """Act as Docker's awslogs driver. `options`: the container, and the driver's group and stream."""
        chunks = self._cloud.engine.logs(options["container"], follow=True)
        stream = options.get("stream", options["container"])
        record = machine.record
        sink = self._cloud.logs_as(self._role(record), record.id) if record.role else self._cloud.logs
        forwarder = LogForwarder(chunks, sink, options["group"], stream, now=self._cloud.now)
        with self._lock:
            machine.log_forwarders.append(forwarder)
        forwarder.start()

    def _console(self, machine: Machine) -> bytes:
        if machine.is_ended and machine.console:
            return machine.console
        if not machine.container:
            return b""
        return b"".join(self._cloud.engine.logs(machine.container))[-CONSOLE_BYTES:]

    def _facts(self, machine: Machine) -> metadata.Facts:
        record = machine.record
        return metadata.Facts(
            instance_id=record.id,
            instance_type=record.instance_type,
            image_id=record.image_id,
            region=self._cloud.region,
            zone=record.zone,
            account=self._cloud.account,
            private_ip=record.private_ip,
            role=record.role,
            user_data=record.user_data,
            tokens_required=record.tokens_required,
            is_spot=record.is_spot,
            interruption=machine.interruption,
            credentials=self._credentials(record),
        )

    def _credentials(self, record: Record) -> Credentials:
        """The credentials of an instance's role, in a session that bears the instance's id."""
        if not record.role or not self._cloud.access.is_enforced:
            return metadata.EXAMPLE
        return self._cloud.credentials(self._role(record), record.id)

    def _role(self, record: Record) -> str:
        return f"arn:aws:iam::{self._cloud.account}:role/{record.role}"

    def _machine(self, instance: str) -> Machine:
        with self._lock:
            if instance not in self._machines:
                raise ApiError("InvalidInstanceID.NotFound", f"The instance ID '{instance}' does not exist", 404)
            return self._machines[instance]

    def _work(self, instance: str) -> Path:
        return self._cloud.state_dir / "work" / instance


def _comparable(form: Mapping[str, str]) -> dict[str, str]:
    """The parameters that must be equal in requests with the same ClientToken."""
    return {key: value for key, value in form.items() if key not in ("Version", "DryRun")}


def services(cloud: Cloud) -> list[Service]:
    """EC2's instances, and SSM's parameters that name AMIs."""
    cache = cloud.state_dir.parent / "cache"
    records = MotoRecords(cloud.account, cloud.region)
    return Instances(cloud, records, lambda: instance_tools.mounts(cache)).services()

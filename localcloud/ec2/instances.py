"""EC2 instances for real: moto keeps the records, a container plays each machine.

What an instance here is: its user data run as root, the metadata service, the AWS CLI, the host's Docker engine, and
`shutdown`. What it is not: a kernel of its own, an NVIDIA driver, a network that a security group guards; its AMI is
only a name. From its files only /srv can be mounted into containers.
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
CONSOLE_BYTES = 64 * 1024  # what EC2 keeps of it
_AGENT = f"{instance_tools.TARGET}/machine/agent.py"


@dataclass(kw_only=True)
class Machine:
    """One instance that was started: its container, its metadata's tokens, and what it left on its console."""

    record: Record
    container: str = ""
    tokens: metadata.Tokens = field(default_factory=metadata.Tokens)
    interruption: datetime | None = None
    console: bytes = b""
    pumps: list[LogForwarder] = field(default_factory=list)
    is_ended: bool = False


class Instances:
    """The instances of this localcloud. `tools` gives the mounts that each needs."""

    def __init__(self, cloud: Cloud, records: Records, tools: Callable[[], tuple[Mount, ...]]) -> None:
        self._cloud, self._records, self._tools = cloud, records, tools
        self._machines: dict[str, Machine] = {}
        self._answers: dict[str, tuple[Mapping[str, str], Response]] = {}
        self._lock = threading.RLock()
        self._threads = Threads()

    def services(self) -> list[Service]:
        settled = {name: self.change for name in ("TerminateInstances", "StopInstances", "StartInstances")}
        ec2 = Service(
            name="ec2",
            handlers={},
            wrappers={"RunInstances": self.run, "GetConsoleOutput": self.console, **settled},
            local={"POST instances/{id}/interrupt": self.interrupt},
            web={"instance": self.web},
            close=self.close,
        )
        return [ec2, Service(name="ssm", handlers={"GetParameter": self.ami})]

    def ami(self, params: dict[str, Any]) -> dict[str, Any]:
        """GetParameter: the newest deep-learning AMI is one that moto knows; other parameters are moto's."""
        if not params["Name"].startswith(AMIS):
            raise PassToMoto
        arn = f"arn:aws:ssm:{self._cloud.region}::parameter{params['Name']}"
        found = {"Name": params["Name"], "Type": "String", "Value": self._records.image(), "Version": 1, "ARN": arn}
        return {"Parameter": found | {"DataType": "aws:ec2:image"}}

    # ---------------------------------------------------------------------------------------------- operations

    def run(self, form: Mapping[str, str], proceed: Callable[[], Response]) -> Response:
        """RunInstances, once for each ClientToken; the machines start behind the answer."""
        if too_long(form):
            raise ApiError("InvalidParameterValue", "User data is limited to 16384 bytes")
        if profile := form.get("IamInstanceProfile.Name"):
            require_instance_profile(self._cloud.roles, profile)
        token = form.get("ClientToken", "")
        with self._lock:
            if token in self._answers:
                asked, answer = self._answers[token]
                if _essence(asked) != _essence(form):
                    raise ApiError("IdempotentParameterMismatch", "Client token was used with other parameters")
                return answer
            answer = proceed()
            if token and answer.status == 200:
                self._answers[token] = (dict(form), answer)
        self._settle()
        return answer

    def change(self, form: Mapping[str, str], proceed: Callable[[], Response]) -> Response:  # noqa: ARG002
        answer = proceed()
        self._settle()
        return answer

    def console(self, form: Mapping[str, str], proceed: Callable[[], Response]) -> Response:
        """GetConsoleOutput: what the container wrote, also after its end."""
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
        """A spot interruption: the notice now, the end in two minutes (rule 87)."""
        machine = self._machine(labels["id"])
        if not machine.record.is_spot:
            raise ApiError("IncorrectInstanceState", f"{labels['id']} is no spot instance")
        machine.interruption = self._cloud.now() + metadata.NOTICE
        self._threads.spawn(self._take_away, machine)
        return {"instance": labels["id"], "time": machine.interruption.isoformat()}

    def web(self, request: Request) -> Response:
        """What an instance asks: its metadata, and to read a container's output into CloudWatch Logs."""
        instance, _, path = request.path.partition("/")
        try:
            machine = self._machine(instance)
        except ApiError:
            return Response(status=404, headers={}, body=b"")
        if path == "localcloud/awslogs" and request.method == "POST":
            self._pump(machine, dict(parse_qsl(request.query)))
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

    def _settle(self) -> None:
        """Starts what moto's records have begun, and ends what they have ended."""
        with self._lock:
            for record in self._records.all():
                machine = self._machines.get(record.id)
                if record.state in STARTING and (machine is None or machine.is_ended):
                    self._machines[record.id] = machine = Machine(record=record)
                    self._threads.spawn(self._play, machine)
                elif record.state not in STARTING and machine is not None and not machine.is_ended:
                    self._threads.spawn(self._end, machine)

    def _play(self, machine: Machine) -> None:
        """One machine from its start to its own shutdown."""
        record = machine.record
        try:
            machine.container = self._cloud.engine.run(self._spec(record)).id
        except LocalcloudError as error:
            machine.console, machine.is_ended = f"localcloud: {error}\n".encode(), True
            self._records.end(record.id, terminate=True, code="Server.InternalError", message=f"localcloud: {error}")
            return
        self._cloud.engine.wait(machine.container)
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
        found = self._cloud.engine.tagged(BASE)
        if not found:
            raise LocalcloudError(f"the engine holds no {BASE}, which instances run on: ./inv build makes one")
        return found[0]

    def _end(self, machine: Machine) -> None:
        """The container, and those that it started, as a machine's end ends its containers."""
        with self._lock:
            if machine.is_ended:
                return
            machine.is_ended = True
        engine = self._cloud.engine
        if machine.container:
            engine.stop(machine.container, 5)
            machine.console = self._console(machine)
            engine.remove(machine.container)
        for state in engine.owned():
            if state.labels.get(OWNER) == machine.record.id:
                engine.remove(state.id)
        for pump in machine.pumps:
            pump.join(timeout=5)
        image = next(iter(engine.tagged(BASE)), "")
        name = f"{self._cloud.instance}-{machine.record.id}-clear"
        WorkFolder(engine=engine, path=self._work(machine.record.id), image=image, name=name).clear()

    def _take_away(self, machine: Machine) -> None:
        if self._threads.closing.wait(metadata.NOTICE.total_seconds()) or machine.is_ended:
            return
        self._end(machine)
        code = "Server.SpotInstanceTermination"
        message = f"{code}: Spot instance termination"
        self._records.end(machine.record.id, terminate=True, code=code, message=message)

    def _pump(self, machine: Machine, asked: Mapping[str, str]) -> None:
        chunks = self._cloud.engine.logs(asked["container"], follow=True)
        stream = asked.get("stream", asked["container"])
        pump = LogForwarder(chunks, self._cloud.logs, asked["group"], stream, now=self._cloud.now)
        machine.pumps.append(pump)
        pump.start()

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
        )

    def _machine(self, instance: str) -> Machine:
        with self._lock:
            if instance not in self._machines:
                raise ApiError("InvalidInstanceID.NotFound", f"The instance ID '{instance}' does not exist", 404)
            return self._machines[instance]

    def _work(self, instance: str) -> Path:
        return self._cloud.state_dir / "work" / instance


def _essence(form: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in form.items() if key not in ("Version", "DryRun")}


def services(cloud: Cloud) -> list[Service]:
    """The room of EC2 instances, and the parameters that name AMIs."""
    cache = cloud.state_dir.parent / "cache"
    records = MotoRecords(cloud.account, cloud.region)
    return Instances(cloud, records, lambda: instance_tools.mounts(cache)).services()

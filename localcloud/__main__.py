"""`python -m localcloud`: serves until SIGTERM or Ctrl-C, then removes its containers and networks."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from localcloud.cloud import Cloud
from localcloud.cloudwatch.backend import CloudWatch
from localcloud.cloudwatch.logs import CloudWatchLogs
from localcloud.containers.engine import DockerEngine, connect, gateway_address
from localcloud.ecr.registry import Registry
from localcloud.ecr.repositories import Records
from localcloud.environment import seconds
from localcloud.errors import LocalcloudError
from localcloud.gateway.server import Application, Listener, bind
from localcloud.gateway.service import Service
from localcloud.iam import DELAY_VARIABLE, MotoRoles, know_managed_policies, role_delay
from localcloud.s3 import S3Objects
from localcloud.service_quotas.limits import quotas_of
from localcloud.services import services
from localcloud.state import StateDir
from localcloud.tags import Tags

ACCOUNT = "123456789012"
MINUTE_VARIABLE = "KENNEL_LOCALCLOUD_MINUTE_S"


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m localcloud",
        description="AWS on one machine: moto keeps the records, Docker runs the jobs, endpoints and functions.",
        epilog=f"{MINUTE_VARIABLE}=2 makes a minute of CloudWatch's alarms and of autoscaling last 2 seconds. "
        f"{DELAY_VARIABLE}=5 keeps a new role unknown to services for 5 seconds, as AWS does for some time.",
    )
    arguments.add_argument("--port", type=int, default=4566, help="the port of all services (0: any free one)")
    arguments.add_argument(
        "--state-dir", type=Path, default=Path(".kennel/localcloud"), help="lock, log and work folders"
    )
    arguments.add_argument("--region", default="us-east-1")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    state = StateDir(options.state_dir)
    try:
        state.acquire()
    except LocalcloudError as error:
        return _report(error)
    try:
        serve(state, port=options.port, region=options.region, stop=stop)
    except LocalcloudError as error:
        return _report(error)
    finally:
        state.release()
    return 0


def serve(state: StateDir, *, port: int, region: str, stop: threading.Event) -> None:
    """Remove what an earlier run left, serve until `stop`, then remove all of this instance's containers and networks.

    Raises LocalcloudError.
    """
    know_managed_policies()
    client = connect()
    engine = DockerEngine(state.instance, client)
    engine.cleanup()
    state.clear_work()
    gateway = gateway_address(client)
    sockets = bind(port, ["127.0.0.1", *([gateway] if gateway else [])])
    port = sockets[0].getsockname()[1]
    # Docker Desktop's gateway is inside its virtual machine. There, containers reach this host by name.
    host = gateway if len(sockets) > 1 else "host.docker.internal"
    endpoint_url = f"http://127.0.0.1:{port}"
    cloudwatch = CloudWatch(account=ACCOUNT, region=region, now=lambda: datetime.now(UTC))
    registry = Registry(
        folder=state.work / "registry", records=Records(account=ACCOUNT, region=region), now=lambda: datetime.now(UTC)
    )
    cloud = Cloud(
        instance=state.instance, account=ACCOUNT, region=region, state_dir=state.path, endpoint_url=endpoint_url,
        container_url=f"http://{host}:{port}", engine=engine, objects=S3Objects(endpoint_url, region),
        logs=CloudWatchLogs(endpoint_url, region), tags=Tags(), now=lambda: datetime.now(UTC),
        metrics=cloudwatch, alarms=cloudwatch, minute=minute_seconds(os.environ), registry=registry,
        quotas=quotas_of(os.environ),
        roles=MotoRoles(account=ACCOUNT, now=lambda: datetime.now(UTC), delay_s=role_delay(os.environ)),
    )  # fmt: skip
    running = services(cloud)
    info = _info(cloud, port)
    listener = Listener(sockets, Application(running, region=region, health=lambda: info))
    listener.start()
    state.write_info(info)
    print(f"localcloud {cloud.instance} answers at {endpoint_url} (containers: {cloud.container_url})", flush=True)  # noqa: T201
    try:
        stop.wait()
    finally:
        print("localcloud is stopping: removing its containers and networks", flush=True)  # noqa: T201
        _close(running, listener, engine)
        state.clear_work()


def minute_seconds(environ: Mapping[str, str]) -> float:
    """How many seconds a minute of CloudWatch lasts: KENNEL_LOCALCLOUD_MINUTE_S, 60 by default, at least 0.5.

    Alarm periods, cooldowns and rate() schedules shrink with it, so that tests scale in seconds, not minutes. Raises
    LocalcloudError.
    """
    return seconds(environ, MINUTE_VARIABLE, default=60, minimum=0.5, maximum=60)


def _close(running: Sequence[Service], listener: Listener, engine: DockerEngine) -> None:
    try:
        for service in running:
            service.close()
    finally:
        listener.stop()
        engine.cleanup()


def _info(cloud: Cloud, port: int) -> dict[str, Any]:
    return {
        "instance": cloud.instance,
        "region": cloud.region,
        "account": cloud.account,
        "pid": os.getpid(),
        "port": port,
        "endpoint_url": cloud.endpoint_url,
        "container_url": cloud.container_url,
        "version": f"moto {version('moto')}",
        "state": "AWS state is in memory: a restart begins empty",
    }


def _report(error: Exception) -> int:
    print(f"localcloud: {error}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""`python -m localcloud`: serves until SIGTERM or Ctrl-C, then removes its containers and networks."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from localcloud import environment
from localcloud.authorization.access import OpenAccess
from localcloud.authorization.account import MotoAccount
from localcloud.authorization.enforcement import Enforcement
from localcloud.authorization.guard import Guard
from localcloud.authorization.identity import ROOT_KEYS
from localcloud.cloud import Cloud
from localcloud.cloudwatch.backend import CloudWatch
from localcloud.cloudwatch.logs import CloudWatchLogs
from localcloud.containers.engine import DockerEngine, connect, gateway_address
from localcloud.ecr.registry import Registry
from localcloud.ecr.repositories import Records
from localcloud.errors import LocalcloudError
from localcloud.faults.lag import Lag
from localcloud.faults.late import KINDS
from localcloud.faults.throttle import throttle_of
from localcloud.gateway.requests import Gate
from localcloud.gateway.server import Application, Listener, bind
from localcloud.gateway.service import Service
from localcloud.iam import MotoRoles, know_managed_policies
from localcloud.s3 import S3Objects
from localcloud.service_quotas.limits import quotas_of
from localcloud.services import services
from localcloud.state import StateDir
from localcloud.tags import Tags

ACCOUNT = "123456789012"


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m localcloud",
        description="AWS on one machine: moto keeps the records, Docker runs the jobs, endpoints and functions.",
        epilog="Environment: "
        + "; ".join(f"{each.name} ({each.values}): {each.meaning}" for each in environment.VARIABLES)
        + ".",
    )
    arguments.add_argument("--port", type=int, default=4566, help="the port of all services (0: any free one)")
    arguments.add_argument(
        "--state-dir", type=Path, default=Path(".kennel/localcloud"), help="lock, log and work folders"
    )
    arguments.add_argument("--region", default="us-east-1")
    arguments.add_argument(
        "--iam", action="store_true",
        help=f"judge every request by its caller's IAM policies (also {environment.IAM.name}=1); root's keys are not "
        f"judged: {', '.join(sorted(ROOT_KEYS))}",
    )  # fmt: skip
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
        is_enforced = options.iam or environment.is_iam_enforced(os.environ)
        serve(state, port=options.port, region=options.region, stop=stop, is_enforced=is_enforced)
    except LocalcloudError as error:
        return _report(error)
    finally:
        state.release()
    return 0


def serve(state: StateDir, *, port: int, region: str, stop: threading.Event, is_enforced: bool = False) -> None:
    """Remove what an earlier run left, serve until `stop`, then remove all of this instance's containers and networks.

    `is_enforced`: judge every request by its caller's IAM policies.

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
    tags, enforcement = Tags(), _enforcement(region) if is_enforced else None
    if enforcement is not None:
        enforcement.add_tags(tags.of)
    cloudwatch = CloudWatch(account=ACCOUNT, region=region, now=lambda: datetime.now(UTC))
    registry = Registry(
        folder=state.work / "registry", records=Records(account=ACCOUNT, region=region),
        now=lambda: datetime.now(UTC), access=enforcement,
    )  # fmt: skip
    cloud = Cloud(
        instance=state.instance, account=ACCOUNT, region=region, state_dir=state.path, endpoint_url=endpoint_url,
        container_url=f"http://{host}:{port}", engine=engine, objects=S3Objects(endpoint_url, region),
        logs=CloudWatchLogs(endpoint_url, region), tags=tags, now=lambda: datetime.now(UTC),
        metrics=cloudwatch, alarms=cloudwatch, minute=environment.minute_seconds(os.environ), registry=registry,
        quotas=quotas_of(os.environ), idle=environment.idle_seconds(os.environ), roles=MotoRoles(account=ACCOUNT),
        access=enforcement or OpenAccess(),
    )  # fmt: skip
    running, gates = services(cloud), faults(region)
    info = _info(cloud, port)
    guard = Guard(enforcement=enforcement) if enforcement is not None else None
    application = Application(running, region=region, health=lambda: info, gates=gates, guard=guard)
    listener = Listener(sockets, application)
    listener.start()
    state.write_info(info)
    print(f"localcloud {cloud.instance} answers at {endpoint_url} (containers: {cloud.container_url})", flush=True)  # noqa: T201
    try:
        stop.wait()
    finally:
        print("localcloud is stopping: removing its containers and networks", flush=True)  # noqa: T201
        _close(running, listener, engine)
        if enforcement is not None:
            enforcement.close()
        state.clear_work()


def faults(region: str) -> list[Gate]:
    """What refuses requests on purpose, in the order in which it is asked. Raises LocalcloudError."""
    lag = Lag(
        kinds=KINDS, seconds=environment.lag_seconds(os.environ), now=lambda: datetime.now(UTC), account=ACCOUNT,
        region=region,
    )  # fmt: skip
    throttle = throttle_of(os.environ)
    return [*([throttle] if throttle.share else []), *([lag] if lag.seconds else [])]


def _enforcement(region: str) -> Enforcement:
    """IAM's judge. Starts the simulator now, so that one that cannot be installed is told at once."""
    enforcement = Enforcement(account=MotoAccount(account=ACCOUNT, region=region))
    enforcement.simulator.decide(())
    return enforcement


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
        "iam": cloud.access.is_enforced,
        "state": "AWS state is in memory: a restart begins empty",
    }


def _report(error: Exception) -> int:
    print(f"localcloud: {error}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())

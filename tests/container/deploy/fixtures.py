"""A stage to deploy to: its own localcloud, a trained model in it, and Kennel's own images."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.aws.client import Client
from deploy.aws.lock import Holder
from deploy.config.settings import Settings, choose, parse
from deploy.console import Screen
from deploy.images.builder import ImageBuilder
from deploy.jobs.backend import follow
from deploy.jobs.sagemaker import SageMakerBackend
from deploy.session import Session
from deploy.stage.desired import foundation
from deploy.values import Request
from tests.clients import QUICK, connect
from tests.unit.serve.artifacts import write_artifact

ROOT = Path(__file__).resolve().parents[3]
NOBODY = 2**30  # not a process: the holder of a lock that is left behind counts as ended
STAGE = """
[stages.local]
account = "123456789012"
endpoint_url = "{url}"
credentials = "dummy"
engine_images = true
"""
# Replaces training: copies the model of a channel.
PROGRAM = b"""
import pathlib, shutil
for path in pathlib.Path("/opt/ml/input/data/artifact").iterdir():
    shutil.copy(path, "/opt/ml/model")
"""


@dataclass(frozen=True, kw_only=True)
class StageFixture:
    """A stage's settings and image references: all that a session needs, also in another process."""

    toml: str
    images: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        return choose(parse(self.toml), "local")

    def session(
        self, out: io.StringIO | None = None, client: Callable[[Client], Client] = lambda client: client
    ) -> Session:
        settings = self.settings
        return Session(
            settings=settings,
            call=client(connect(settings)),
            build=lambda kind: self.images[kind],
            screen=Screen(out=out or io.StringIO()),
            clock=QUICK,
            holder=Holder(who="tests", host="tests", pid=NOBODY),
        )

    def change(self, before: str, after: str) -> StageFixture:
        """The same stage with other settings."""
        if before not in self.toml:
            raise ValueError(f"{before!r} is not in the settings")
        return StageFixture(toml=self.toml.replace(before, after), images=self.images)

    def ask(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        return connect(self.settings)(Request(service=service, operation=operation, params=params))


def make(url: str, toml: str, folder: Path) -> StageFixture:
    """A stage on the localcloud at `url`, with `toml` beside the stage itself, and a completed job."""
    builder = ImageBuilder(repository=ROOT, say=lambda _: None)
    images = {"train": builder.base(), "serve": builder.build("serve"), "lambda": builder.build("lambda")}
    stage = StageFixture(toml=toml + STAGE.format(url=url), images=images)
    train(stage, f"{stage.settings.prefix}-train-0000000000", folder)
    return stage


def train(stage: StageFixture, name: str, folder: Path) -> None:
    """A job that ends with a model of random weights."""
    session = stage.session()
    session.settle(foundation(stage.settings))
    bucket = stage.settings.bucket
    stage.ask("s3", "PutObject", Bucket=bucket, Key=f"tests/{name}/code/main.py", Body=PROGRAM)
    for path in write_artifact(folder).iterdir():
        stage.ask("s3", "PutObject", Bucket=bucket, Key=f"tests/{name}/artifact/{path.name}", Body=path.read_bytes())
    role = stage.ask("iam", "GetRole", RoleName=stage.settings.role_name("training"))["Role"]["Arn"]
    stage.ask(
        "sagemaker",
        "CreateTrainingJob",
        TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": stage.images["train"],
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/main.py"],
        },
        RoleArn=role,
        InputDataConfig=[
            _channel(channel, f"s3://{bucket}/tests/{name}/{channel}") for channel in ("code", "artifact")
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/jobs"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    follow(name, SageMakerBackend(call=session.call), clock=session.clock, every=0.2)


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}

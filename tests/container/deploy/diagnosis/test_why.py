"""Pains of docs/aws-contracts.md, caused for real on localcloud with real containers; each is diagnosed by its rule."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import docker
from deploy.commands.why import show, why
from deploy.config.settings import choose, parse
from deploy.console import Screen
from deploy.diagnosis.facts import Facts
from deploy.diagnosis.images import ImageInspector
from deploy.diagnosis.rules import Diagnosis
from deploy.images.layers import Engine
from deploy.images.manifest import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Blob, Manifest
from deploy.images.registry import Registry, login
from deploy.session import Session
from tests.clients import connect
from tests.container.localcloud.sagemaker.hosting_support import RUNTIME, SERVER, Running, build, running

TOML = Path(__file__).parents[4] / "deploy.toml"
ROLE = "arn:aws:iam::123456789012:role/any"
WELL, CUDA, FUNCTION, ARM = (f"kennel-test/why-{name}:latest" for name in ("well", "cuda", "function", "arm"))
SERVE = 'FROM {base}\nCOPY server.py /server.py\nENTRYPOINT ["python3", "/server.py"]\n'
HANDLER = 'FROM {base}\nCOPY runtime.py /runtime.py\nENTRYPOINT ["python3", "/runtime.py"]\nCMD ["handler"]\n'
ENDED = ("Completed", "Failed", "Stopped", "InService", "Active")
QUOTAS = {"ml.g5.xlarge for endpoint usage": 1, "Concurrent executions": 1000}


class Failing:
    """A localcloud whose resources fail, and a session that asks why."""

    def __init__(self, cloud: Running) -> None:
        self.cloud = cloud
        self.sagemaker, self.iam = cloud.client("sagemaker"), cloud.client("iam")
        chosen = choose(parse(TOML.read_text()), "local")
        stage = chosen.stage.model_copy(update={"endpoint_url": cloud.endpoint_url})
        self.settings = chosen.model_copy(update={"stage": stage})
        self.call = connect(self.settings)
        self.registry = Registry(ask=lambda: login(self.call, time.time))
        self.out = io.StringIO()
        self.session = Session(settings=self.settings, call=self.call, build=str, screen=Screen(out=self.out))
        self.role("any", "sagemaker.amazonaws.com", "lambda.amazonaws.com")

    def role(self, name: str, *services: str) -> None:
        statement = {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)

    def why(self, name: str, *, after: timedelta = timedelta()) -> tuple[Facts, list[Diagnosis]]:
        inspector = ImageInspector(call=self.call, engine=Engine(), registry=self.registry)
        facts, diagnoses = why(self.session, name, inspector, now=datetime.now(UTC) + after)
        show(facts, diagnoses, self.session.screen)
        return facts, diagnoses

    def job(self, name: str, image: str, *, kind: str = "ml.m5.large", program: str = "") -> None:
        algorithm: dict[str, Any] = {"TrainingImage": image, "TrainingInputMode": "File"}
        if program:
            algorithm |= {"ContainerEntrypoint": ["python3", "-c"], "ContainerArguments": [program]}
        self.sagemaker.create_training_job(
            TrainingJobName=name,
            AlgorithmSpecification=algorithm,
            RoleArn=ROLE,
            OutputDataConfig={"S3OutputPath": "s3://models/out"},
            ResourceConfig={"InstanceType": kind, "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )

    def config(self, name: str, image: str, **variant: Any) -> None:
        environment = variant.pop("Environment", {})
        data = self.cloud.model_data("old.tar.gz", weights="w")
        container = {"Image": image, "ModelDataUrl": data, "Environment": environment}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        shown = {"VariantName": "main", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[shown | variant])

    def endpoint(self, name: str, image: str, **variant: Any) -> None:
        self.config(name, image, **variant)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def ended(self, name: str) -> Facts:
        facts: Facts = until(lambda: self.why(name)[0], lambda facts: facts.status in ENDED)
        return facts


def until(look: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    for _ in range(150):
        answer = look()
        if good(answer):
            return answer
        time.sleep(0.2)
    raise AssertionError(f"not so in time: {answer}")


def arm_image() -> None:
    """An image for ARM, whose entrypoint is the head of an ARM program."""
    head = struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    layer = packed({"train": b"\x7fELF\x02\x01\x01" + bytes(9) + head + bytes(56)})
    roots = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    config = {"architecture": "arm64", "os": "linux", "config": {"Entrypoint": ["/train"]}, "rootfs": roots}
    manifest = [{"Config": "config.json", "RepoTags": [ARM], "Layers": ["layer.tar"]}]
    saved = {"manifest.json": json.dumps(manifest), "config.json": json.dumps(config)}
    image = packed({"layer.tar": layer, **{name: text.encode() for name, text in saved.items()}})
    subprocess.run(["docker", "load"], input=image, check=True, capture_output=True)


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failing]:
    """Starts everything that fails at once, since each takes its time."""
    folder = tmp_path_factory.mktemp("why")
    client = docker.from_env()
    try:
        build(client, WELL, SERVE, **{"server.py": SERVER})
        build(client, CUDA, SERVE + "LABEL kennel.cuda.version=13.0\n", **{"server.py": SERVER})
        build(client, FUNCTION, HANDLER, **{"runtime.py": RUNTIME})
        arm_image()
        quotas = folder / "quotas.json"
        quotas.write_text(json.dumps(QUOTAS))
        with running(folder, KENNEL_LOCALCLOUD_QUOTAS=str(quotas), KENNEL_LOCALCLOUD_MINUTE_S="0.5") as cloud:
            yield begin(Failing(cloud), next(tag for tag in client.images.list("kennel/base")[0].tags))
    finally:
        for tag in (WELL, CUDA, FUNCTION, ARM):
            client.images.remove(tag, force=True)
        client.close()


def begin(failing: Failing, base: str) -> Failing:
    failing.endpoint("kennel-local", WELL)
    failing.job("kennel-arm", ARM)
    failing.job("kennel-no-entrypoint", base)
    failing.endpoint("kennel-dies", WELL, Environment={"DIE": "ValueError: no model of this format"})
    failing.endpoint("kennel-sick", WELL, Environment={"SICK": "1"})
    host = "al2-ami-sagemaker-inference-gpu-2"
    failing.endpoint(
        "kennel-cuda", CUDA, Environment={"DIE": "1"}, InstanceType="ml.g5.xlarge", InferenceAmiVersion=host
    )
    return failing


def test_an_image_for_another_architecture(failing: Failing) -> None:
    facts = failing.ended("kennel-arm")
    _, diagnoses = failing.why("kennel-arm")
    assert (facts.status, diagnoses[0].pain, diagnoses[0].certainty) == ("Failed", 3, "certain")
    assert "linux/arm64" in diagnoses[0].cause
    assert "exec format error" in facts.text


def test_an_image_without_an_entrypoint(failing: Failing) -> None:
    failing.ended("kennel-no-entrypoint")
    assert failing.why("kennel-no-entrypoint")[1][0].pain == 7


def test_a_container_that_fails_its_ping_and_its_log(failing: Failing) -> None:
    failing.ended("kennel-dies")
    _, diagnoses = failing.why("kennel-dies")
    assert diagnoses[0].pain == 6
    assert "ValueError: no model of this format" in diagnoses[0].evidence


def test_an_endpoint_that_stays_in_creating(failing: Failing) -> None:
    assert failing.why("kennel-sick")[1] == []  # it may still come up
    facts, diagnoses = failing.why("kennel-sick", after=timedelta(minutes=30))
    assert (facts.status, diagnoses[0].pain) == ("Creating", 5)


def test_cuda_newer_than_the_driver_of_the_host_image(failing: Failing) -> None:
    failing.ended("kennel-cuda")
    _, diagnoses = failing.why("kennel-cuda")
    assert diagnoses[0].pain == 4
    assert "driver 535" in diagnoses[0].evidence


def test_a_quota_of_nothing(failing: Failing) -> None:
    kind = "ml.g5.2xlarge"
    with pytest.raises(ClientError, match="ResourceLimitExceeded"):
        failing.job("kennel-gpu", WELL, kind=kind)
    training = failing.settings.training.model_copy(update={"instance_type": kind})
    failing.session.settings = failing.settings.model_copy(update={"training": training})
    facts, diagnoses = failing.why("kennel-gpu")
    failing.session.settings = failing.settings
    assert (facts.kind, diagnoses[0].pain) == ("unknown name", 8)
    assert f"{kind} for training job usage" in diagnoses[0].cause


def test_manifests_that_sagemaker_and_lambda_refuse(failing: Failing) -> None:
    serve, function = (repository(failing, kind) for kind in ("serve", "lambda"))
    digest = push_oci(failing, failing.settings.repository_name("serve"))
    with pytest.raises(ClientError, match="Unsupported manifest media type"):
        failing.config("kennel-oci", f"{serve}@{digest}")
    push_oci(failing, failing.settings.repository_name("lambda"), index=True)
    code = {"ImageUri": f"{function}:index"}
    with pytest.raises(ClientError, match=r"media type for the source image .* is not supported"):
        failing.cloud.client("lambda").create_function(FunctionName="f", PackageType="Image", Code=code, Role=ROLE)
    _, diagnoses = failing.why("kennel-oci")
    assert {(each.pain, each.certainty, each.command) for each in diagnoses if each.pain < 3} == {
        (1, "certain", "./inv push --repair"),
        (2, "certain", "./inv push --repair"),
    }


def repository(failing: Failing, kind: str) -> str:
    made = failing.cloud.client("ecr").create_repository(repositoryName=failing.settings.repository_name(kind))
    return str(made["repository"]["repositoryUri"])


def push_oci(failing: Failing, repository: str, *, index: bool = False) -> str:
    """An image under OCI's types, or an index of it as buildx makes one; the digest."""
    config = json.dumps({"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/serve"]}}).encode()
    blobs = {OCI_CONFIG: config, OCI_LAYER: b"layer"}
    named = {}
    for kind, content in blobs.items():
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        failing.registry.upload(repository, lambda content=content: iter([content]), lambda digest=digest: digest)  # type: ignore[misc]
        named[kind] = Blob(media_type=kind, digest=digest, size=len(content)).described()
    value = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": named[OCI_CONFIG], "layers": [named[OCI_LAYER]]}
    single = Manifest(text=json.dumps(value).encode(), media_type=OCI_MANIFEST)
    digest = failing.registry.put(repository, "single", single)
    if not index:
        return digest
    entry = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(single.text)}
    platform = {"platform": {"os": "linux", "architecture": "amd64"}}
    whole = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry | platform]}
    return failing.registry.put(repository, "index", Manifest(text=json.dumps(whole).encode(), media_type=OCI_INDEX))


def test_a_role_that_the_service_cannot_assume(failing: Failing) -> None:
    failing.role(failing.settings.role_name("training"), "ec2.amazonaws.com")
    _, diagnoses = failing.why("kennel-local-train-not-made")
    mine = [each for each in diagnoses if each.pain == 16]
    assert "cannot be assumed by sagemaker.amazonaws.com" in mine[0].cause


def test_reset_capacity_and_an_old_model_behind_the_same_name(failing: Failing) -> None:
    assert failing.ended("kennel-local").status == "InService"
    assert failing.why("kennel-local")[1] == []
    place = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/kennel-local/variant/main"}
    place |= {"ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
    scaling = failing.cloud.client("application-autoscaling")
    scaling.register_scalable_target(**place, MinCapacity=1, MaxCapacity=3)
    soon = f"at({datetime.now(UTC) + timedelta(seconds=2):%Y-%m-%dT%H:%M:%S})"  # told in whole seconds: not past yet
    bounds = {"MinCapacity": 2, "MaxCapacity": 3}
    scaling.put_scheduled_action(**place, ScheduledActionName="busy", Schedule=soon, ScalableTargetAction=bounds)
    until(lambda: failing.why("kennel-local")[0].variants[0].scaled, lambda count: count == 2)
    scaling.register_scalable_target(**place, MinCapacity=1, MaxCapacity=3)
    failing.config("kennel-local-2", WELL)
    time.sleep(1.1)  # times are told in whole seconds
    failing.sagemaker.update_endpoint(EndpointName="kennel-local", EndpointConfigName="kennel-local-2")
    assert failing.ended("kennel-local").status == "InService"
    assert [each.pain for each in failing.why("kennel-local")[1]] == [13]
    failing.job("kennel-local-train-0123456789", WELL, program="open('/opt/ml/model/weights', 'w').write('new')")
    assert failing.ended("kennel-local-train-0123456789").status == "Completed"
    assert failing.why("kennel-local-train-0123456789")[1] == []
    assert [each.pain for each in failing.why("kennel-local")[1]] == [15, 13]


def test_provisioned_concurrency_that_stays_with_the_old_version(failing: Failing) -> None:
    api, name = failing.cloud.client("lambda", read_timeout=60), "kennel-why"
    api.create_function(FunctionName=name, PackageType="Image", Code={"ImageUri": FUNCTION}, Role=ROLE)
    api.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert failing.why(name)[1] == []
    version = api.publish_version(FunctionName=name)["Version"]
    api.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    params = {"FunctionName": name, "Qualifier": version, "ProvisionedConcurrentExecutions": 1}
    until(lambda: _put(api, params), bool)
    _, diagnoses = failing.why(name)
    assert (diagnoses[0].pain, diagnoses[0].command) == (20, "./inv deploy")
    assert "bound to a version" in diagnoses[0].cause


def _put(api: Any, params: dict[str, Any]) -> bool:
    """Refused while the version is pending (rule 66)."""
    try:
        api.put_provisioned_concurrency_config(**params)
    except api.exceptions.ResourceConflictException:
        return False
    return True

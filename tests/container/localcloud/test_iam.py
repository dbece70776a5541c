"""With --iam, containers act with their role: real containers are refused what the role may not do, and so are the
transfers that SageMaker does for a job."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

import docker
from localcloud import daemon
from localcloud.daemon import Status
from tests.container.localcloud.roles import TRUST
from tests.container.localcloud.sagemaker.hosting_support import SERVER, build
from tests.container.localcloud.sagemaker.training_support import Bench, s3_channel, until

pytestmark = pytest.mark.timeout(300)
ACCOUNT = "123456789012"

# Signs as SDKs do, except that the signature itself is a dummy: localcloud verifies none.
ASK = """
import json, os, sys, urllib.error, urllib.request

def ask(method, service, path, body=None):
    scope = os.environ["AWS_ACCESS_KEY_ID"] + "/20260101/" + os.environ["AWS_REGION"] + "/" + service + "/aws4_request"
    headers = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=" + scope + ", SignedHeaders=host, Signature=" + "0" * 64,
        "X-Amz-Security-Token": os.environ["AWS_SESSION_TOKEN"],
    }
    url = os.environ["AWS_ENDPOINT_URL"] + path
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)) as answer:
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
"""
READS = f"""{ASK}
found = {{"own": ask("GET", "s3", "/data/in/1"), "other": ask("GET", "s3", "/secrets/1")}}
found["key"] = os.environ["AWS_ACCESS_KEY_ID"]
json.dump(found, open("/opt/ml/output/data/found.json", "w"))
print("asked")
"""
RUNTIME = f"""{ASK}
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(api + "next") as event:
        request, order = event.headers["Lambda-Runtime-Aws-Request-Id"], json.load(event)
    answer = ask("POST", "sagemaker", "/endpoints/" + order["endpoint"] + "/invocations", b"x")
    urllib.request.urlopen(api + request + "/response", json.dumps(answer).encode())
"""


def allow(actions: str, *resources: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions.split(), "Resource": list(resources)}


LOGS = allow("logs:CreateLogGroup logs:CreateLogStream logs:PutLogEvents", "*")
LISTS = allow("s3:ListBucket", "arn:aws:s3:::data")
READS_DATA = allow("s3:GetObject", "arn:aws:s3:::data/*")
WRITES = allow("s3:PutObject", "arn:aws:s3:::data/out/*")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Status]:
    state_dir = tmp_path_factory.mktemp("iam")
    yield daemon.start_background(port=0, state_dir=state_dir, iam=True)
    daemon.stop(state_dir)


@pytest.fixture(scope="module")
def bench(cloud: Status, base_image: str) -> Bench:
    bench = Bench(cloud.endpoint_url, base_image)
    bench.s3.create_bucket(Bucket="secrets")
    for bucket, key in (("data", "in/1"), ("secrets", "1")):
        bench.s3.put_object(Bucket=bucket, Key=key, Body=b"content")
    return bench


def role(cloud: Status, name: str, *statements: Mapping[str, Any]) -> str:
    """A role that SageMaker and Lambda may assume, with these rights only."""
    iam = boto3.client(
        "iam", endpoint_url=cloud.endpoint_url, region_name="us-east-1",
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=document)
    return str(made["Role"]["Arn"])


def test_a_training_container_reads_its_bucket_and_is_refused_another(cloud: Status, bench: Bench) -> None:
    arn = role(cloud, "trainer", LISTS, READS_DATA, WRITES, LOGS)
    bench.train("reads", READS, RoleArn=arn)
    found = bench.wait("reads")
    assert found["TrainingJobStatus"] == "Completed", found.get("FailureReason")
    asked = json.loads(bench.tar("out/reads/output/output.tar.gz")["found.json"])
    assert asked["own"] == [200, "content"]
    assert asked["key"].startswith("ASIA")
    status, text = asked["other"]
    assert status == 403
    assert (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/trainer/SageMaker is not authorized to perform: s3:GetObject"
        in text
    )
    assert "because no identity-based policy allows the s3:GetObject action" in text
    assert bench.lines("reads")["algo-1"] == ["asked"]


def test_a_job_whose_role_may_not_list_its_bucket_is_refused(cloud: Status, bench: Bench) -> None:
    arn = role(cloud, "lists-nothing", READS_DATA, WRITES, LOGS)
    with pytest.raises(
        ClientError, match='Unauthorized to List objects under S3 URL "s3://data/code/no-list"'
    ) as caught:
        bench.train("no-list", "", RoleArn=arn)
    assert "because no identity-based policy allows the s3:ListBucket action" in str(caught.value)


def test_a_job_whose_role_may_not_read_its_objects_fails_while_downloading(cloud: Status, bench: Bench) -> None:
    bench.train("no-read", "", RoleArn=role(cloud, "reads-nothing", LISTS, WRITES, LOGS))
    found = bench.wait("no-read")
    assert found["TrainingJobStatus"] == "Failed"
    assert found["FailureReason"] == (
        "ClientError: Data download failed:Unable to download object s3://data/code/no-read/main.py "
        "(AccessDenied: Access Denied)"
    )


def test_a_job_whose_role_may_not_write_fails_while_uploading(cloud: Status, bench: Bench) -> None:
    program = 'open("/opt/ml/model/m", "w").write("x")'
    bench.train("no-write", program, RoleArn=role(cloud, "writes-nothing", LISTS, READS_DATA, LOGS))
    found = bench.wait("no-write")
    assert found["TrainingJobStatus"] == "Failed"
    assert "s3:PutObject" in found["FailureReason"]


def test_a_job_whose_role_may_not_write_logs_runs_without_them(cloud: Status, bench: Bench) -> None:
    channel = [s3_channel("more", "s3://data/in/")]
    arn = role(cloud, "logs-nothing", LISTS, READS_DATA, WRITES)
    bench.train("no-logs", 'print("unheard")', RoleArn=arn, InputDataConfig=channel)
    assert bench.wait("no-logs")["TrainingJobStatus"] == "Completed"
    assert bench.lines("no-logs") == {}


def test_a_function_asks_its_endpoint_and_is_refused_another(cloud: Status, bench: Bench) -> None:
    client = docker.from_env()
    try:
        dockerfile = (
            'FROM {base}\nCOPY runtime.py /runtime.py\nENTRYPOINT ["python3", "/runtime.py"]\nCMD ["handler"]\n'
        )
        image = build(client, "kennel-test/asks:latest", dockerfile, **{"runtime.py": RUNTIME})
    finally:
        client.close()
    asks = allow("sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/mine")
    functions = boto3.client(
        "lambda", endpoint_url=cloud.endpoint_url, region_name="us-east-1",
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip
    functions.create_function(
        FunctionName="asks", PackageType="Image", Code={"ImageUri": image}, Role=role(cloud, "asker", asks, LOGS)
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="asks", WaiterConfig={"Delay": 1})

    def asked(endpoint: str) -> list[Any]:
        answer = functions.invoke(FunctionName="asks", Payload=json.dumps({"endpoint": endpoint}))
        found: list[Any] = json.load(answer["Payload"])
        return found

    status, text = asked("mine")
    assert (status, "Endpoint mine of account" in text) == (400, True), text  # allowed, and there is none
    status, text = asked("others")
    assert status == 403
    assert f"User: arn:aws:sts::{ACCOUNT}:assumed-role/asker/asks is not authorized" in text
    assert "endpoint/others because no identity-based policy allows the sagemaker:InvokeEndpoint action" in text


def packed(name: str, content: bytes) -> bytes:
    """A tar.gz with one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def test_an_endpoint_reads_its_model_with_its_role(cloud: Status, bench: Bench) -> None:
    client = docker.from_env()
    try:
        dockerfile = 'FROM {base}\nCOPY server.py /\nENTRYPOINT ["python3", "/server.py"]\n'
        image = build(client, "kennel-test/hosting-iam:latest", dockerfile, **{"server.py": SERVER})
    finally:
        client.close()
    bench.s3.put_object(Bucket="data", Key="models/m.tar.gz", Body=packed("weights", b"w"))
    sagemaker = bench.sagemaker

    def endpoint(name: str, arn: str) -> dict[str, Any]:
        container = {"Image": image, "ModelDataUrl": "s3://data/models/m.tar.gz"}
        variant = {
            "VariantName": "v", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large",
        }  # fmt: skip
        sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=arn)
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        until(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] != "Creating")
        found: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
        return found

    assert endpoint("reads-model", role(cloud, "serves", READS_DATA, LOGS))["EndpointStatus"] == "InService"
    failed = endpoint("reads-no-model", role(cloud, "serves-nothing", LOGS))
    assert failed["EndpointStatus"] == "Failed"
    assert "Failed to download model data" in failed["FailureReason"]
    for name in ("reads-model", "reads-no-model"):
        sagemaker.delete_endpoint(EndpointName=name)

"""Kennel's own images behind localcloud: the serving image updated under load, the Lambda image asking it."""

import base64
import io
import json
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploy.images.builder import ImageBuilder
from tests.container.localcloud.sagemaker.hosting_support import ROLE, Running, running
from tests.container.localcloud.sagemaker.test_hosting import User, variant
from tests.unit.serve.artifacts import write_artifact
from tests.unit.serve.pictures import encoded

WORKSHOP = ImageBuilder(repository=Path(__file__).resolve().parents[4])
PAUSES = (0.0, 0.0, 0.1, 0.5, 1.99, 2.0, 2.01)  # gunicorn drops idle connections after 2 s: some ask just then


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("kennel")) as made:
        yield made


@pytest.fixture(scope="module")
def user(cloud: Running, tmp_path_factory: pytest.TempPathFactory) -> User:
    """A user whose endpoint `kennel` is in service with two instances."""
    folder: Path = write_artifact(tmp_path_factory.mktemp("model"))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    s3 = cloud.client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="model.tar.gz", Body=packed.getvalue())
    made = User(cloud)
    made.model("kennel", image=WORKSHOP.build("serve"), data="s3://models/model.tar.gz")
    made.endpoint("kennel", variant("kennel", count=2))
    return made


def test_an_update_under_load_fails_no_request_of_the_real_server(user: User) -> None:
    stop, served, failed = threading.Event(), list[int](), list[Exception]()

    def load(pause: float) -> None:
        while not stop.is_set():
            try:
                answer = user.runtime.invoke_endpoint(
                    EndpointName="kennel", Body=encoded("red"), ContentType="image/jpeg"
                )
                served.append(len(answer["Body"].read()))
            except ClientError as error:
                failed.append(error)
            time.sleep(pause)

    with ThreadPoolExecutor(len(PAUSES)) as pool:
        for pause in PAUSES:
            pool.submit(load, pause)
        time.sleep(3)
        user.sagemaker.update_endpoint(EndpointName="kennel", EndpointConfigName="kennel")
        user.wait("kennel")
        time.sleep(3)
        stop.set()
    assert failed == []
    assert len(served) > 50


def test_the_lambda_image_asks_the_endpoint(user: User, cloud: Running) -> None:
    api = cloud.client("lambda", read_timeout=60)
    api.create_function(
        FunctionName="front", PackageType="Image", Code={"ImageUri": WORKSHOP.build("lambda")}, Role=ROLE,
        Timeout=20, MemorySize=512, Environment={"Variables": {"KENNEL_ENDPOINT_NAME": "kennel"}},
    )  # fmt: skip
    api.get_waiter("function_active_v2").wait(FunctionName="front", WaiterConfig={"Delay": 1})
    event = json.dumps({"image": base64.b64encode(encoded("red")).decode()})
    answer = api.invoke(FunctionName="front", Payload=event)
    answered: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer
    assert answered["statusCode"] == 200
    assert answered["predictions"][0]["label"] == "red"
    assert len(json.loads(answered["body"])) == 1

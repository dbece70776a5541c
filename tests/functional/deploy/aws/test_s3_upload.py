"""Uploads to S3 over HTTP: large files in parts, with checksums, resumed after an interruption."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.aws import s3_upload
from deploy.aws.client import Client, connect
from deploy.config.settings import choose, parse
from deploy.storage import dataset
from deploy.values import Request
from localcloud.gateway.server import Application, Listener, bind
from tests.unit.deploy.golden import requests

BUCKET = "uploads"
TOML = Path(__file__).parents[4] / "deploy.toml"


class BrokenError(Exception):
    """The line went dead."""


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    sockets = bind(0, ["127.0.0.1"])
    listener = Listener(sockets, Application([], region="us-east-1", health=dict))
    listener.start()
    settings = choose(parse(TOML.read_text()), "local")
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    client = connect(settings.model_copy(update={"stage": settings.stage.model_copy(update={"endpoint_url": url})}))
    try:
        client(Request(service="s3", operation="CreateBucket", params={"Bucket": BUCKET}))
        yield client
    finally:
        listener.stop()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "pictures.tar"
    path.write_bytes(bytes(range(256)) * 4 * 1024 * 35)  # 35 MiB: three parts
    return path


def test_a_large_file_arrives_whole_with_the_etag_that_we_compute(client: Client, large: Path) -> None:
    reported: list[int] = []
    s3_upload.upload(client, bucket=BUCKET, key="data/x/whole.tar", path=large, sent=reported.append)
    assert sum(reported) == large.stat().st_size
    assert dataset.listing(client, bucket=BUCKET, prefix="data/x/") == {"whole.tar": s3_upload.etag(large)}
    answer = client(Request(service="s3", operation="GetObject", params={"Bucket": BUCKET, "Key": "data/x/whole.tar"}))
    assert answer["Body"].read() == large.read_bytes()


def test_an_interrupted_upload_resumes_with_the_missing_parts_and_leaves_nothing_behind(
    client: Client, large: Path
) -> None:
    sent: list[int] = []
    by_operation: dict[str, Request] = {}

    def breaking(request: Request) -> dict[str, Any]:
        if request.operation == "UploadPart" and request.params["PartNumber"] == 2:
            raise BrokenError
        return client(request)

    def counting(request: Request) -> dict[str, Any]:
        by_operation[request.operation] = request
        if request.operation == "UploadPart":
            sent.append(request.params["PartNumber"])
        return client(request)

    with pytest.raises(BrokenError):
        s3_upload.upload(breaking, bucket=BUCKET, key="data/y/pictures.tar", path=large)
    assert len(s3_upload.unfinished(client, BUCKET, "data/y/pictures.tar")) == 1
    s3_upload.upload(counting, bucket=BUCKET, key="data/y/pictures.tar", path=large)
    assert 2 in sent
    assert len(sent) < 3
    assert s3_upload.unfinished(client, BUCKET, "data/y/pictures.tar") == []
    assert set(by_operation) == {"ListMultipartUploads", "ListParts", "UploadPart", "CompleteMultipartUpload"}


def test_the_requests_of_an_upload_in_parts_are_those_of_the_golden_files(client: Client, large: Path) -> None:
    by_operation: dict[str, Request] = {}

    def noting(request: Request) -> dict[str, Any]:
        if request.params.get("PartNumber", 1) == 1:
            by_operation.setdefault(request.operation, request)
        return client(request)

    s3_upload.upload(noting, bucket=BUCKET, key="data/g/pictures.tar", path=large)
    by_operation["AbortMultipartUpload"] = s3_upload.abort(BUCKET, "data/g/pictures.tar", "upload")
    by_operation["ListParts"] = Request(
        service="s3",
        operation="ListParts",
        params={**by_operation["AbortMultipartUpload"].params, "UploadId": "upload"},
    )
    for request in by_operation.values():
        fixed = {"UploadId": "upload"} if "UploadId" in request.params else {}
        requests.check("large-file", replace(request, params={**request.params, **fixed}))


def test_a_push_reports_bytes_and_a_second_push_sends_nothing(client: Client, large: Path, tmp_path: Path) -> None:
    small = tmp_path / "a.jpg"
    small.write_bytes(b"picture")
    reported: list[tuple[int, int]] = []
    source = {"pictures.tar": large, "a.jpg": small}
    first = dataset.push(
        source, client, bucket=BUCKET, prefix="data/z/", progress=lambda *counts: reported.append(counts)
    )
    assert reported[-1] == (large.stat().st_size + 7, large.stat().st_size + 7)
    reported.clear()
    again = dataset.push(
        source, client, bucket=BUCKET, prefix="data/z/", progress=lambda *counts: reported.append(counts)
    )
    assert again == first
    assert reported == []


def test_a_small_file_goes_in_one_piece_with_its_checksum(client: Client, tmp_path: Path) -> None:
    small, sent = tmp_path / "a.jpg", list[Request]()
    small.write_bytes(b"picture")

    def noting(request: Request) -> dict[str, Any]:
        sent.append(request)
        return client(request)

    s3_upload.upload(noting, bucket=BUCKET, key="data/s/a.jpg", path=small)
    (request,) = sent
    requests.check("picture", replace(request, params={**request.params, "Body": b"picture"}))

"""Every service's requests are recognised as botocore writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import botocore.serialize
import pytest

from localcloud.authorization.access import OpenAccess
from localcloud.aws_client import OWN_KEY
from localcloud.gateway import protocol
from localcloud.gateway.requests import AnyCall, Http, identify, named

SCOPE = "AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("iam", "CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}),
    ("sts", "GetCallerIdentity", {}),
    ("ec2", "RunInstances", {"MinCount": 1, "MaxCount": 1, "IamInstanceProfile": {"Name": "p"}}),
    ("logs", "PutRetentionPolicy", {"logGroupName": "/a", "retentionInDays": 1}),
    ("ecr", "DescribeRepositories", {"repositoryNames": ["r"]}),
    ("sagemaker", "CreateModel", {"ModelName": "m", "ExecutionRoleArn": "arn"}),
    ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e", "Body": b"x"}),
    ("lambda", "CreateFunction", {"FunctionName": "f", "Role": "arn", "Code": {"ImageUri": "i"}}),
    ("lambda", "Invoke", {"FunctionName": "f", "Payload": b"{}"}),
    ("s3", "CreateBucket", {"Bucket": "b"}),
    ("s3", "HeadBucket", {"Bucket": "b"}),
    ("s3", "PutBucketVersioning", {"Bucket": "b", "VersioningConfiguration": {"Status": "Enabled"}}),
    ("s3", "PutPublicAccessBlock", {"Bucket": "b", "PublicAccessBlockConfiguration": {}}),
    ("s3", "PutObject", {"Bucket": "b", "Key": "a/b c", "Body": b"x"}),
    ("s3", "CopyObject", {"Bucket": "b", "Key": "k", "CopySource": "b/j"}),
    ("s3", "UploadPart", {"Bucket": "b", "Key": "k", "PartNumber": 1, "UploadId": "u", "Body": b"x"}),
    ("s3", "CreateMultipartUpload", {"Bucket": "b", "Key": "k"}),
    ("s3", "CompleteMultipartUpload", {"Bucket": "b", "Key": "k", "UploadId": "u"}),
    ("s3", "AbortMultipartUpload", {"Bucket": "b", "Key": "k", "UploadId": "u"}),
    ("s3", "DeleteObject", {"Bucket": "b", "Key": "k"}),
    ("s3", "DeleteObjects", {"Bucket": "b", "Delete": {"Objects": []}}),
    ("s3", "ListObjectsV2", {"Bucket": "b", "Prefix": "p"}),
    ("s3", "ListParts", {"Bucket": "b", "Key": "k", "UploadId": "u"}),
    ("s3", "GetObject", {"Bucket": "b", "Key": "k"}),
    ("s3", "ListBuckets", {}),
]


def sent(service: str, operation: str, params: Mapping[str, Any], kind: str = "", key: str = "AKID") -> Http:
    """The HTTP request that botocore would send, in the protocol `kind` or the service's own."""
    model = protocol.model(service)
    serializer = botocore.serialize.create_serializer(kind or model.metadata["protocol"], include_validation=False)
    request = serializer.serialize_to_request(dict(params), model.operation_model(operation))
    parts, raw = urlsplit(request["url_path"]), request["body"] or b""
    pairs = request["query_string"]
    query = "&".join(filter(None, [parts.query, pairs if isinstance(pairs, str) else urlencode(pairs, doseq=True)]))
    headers = {name.lower(): str(value) for name, value in request["headers"].items()}
    headers["authorization"] = SCOPE.format(key, model.signing_name)
    body = urlencode(raw).encode() if isinstance(raw, dict) else raw.encode() if isinstance(raw, str) else raw
    return Http(method=request["method"], path=parts.path, query=query, headers=headers, body=lambda: body)


def call(service: str, operation: str, params: Mapping[str, Any], kind: str = "") -> AnyCall:
    found = identify(sent(service, operation, params, kind))
    assert found is not None
    return found


@pytest.mark.parametrize(("service", "operation", "params"), CALLS, ids=[f"{row[0]} {row[1]}" for row in CALLS])
def test_a_request_is_recognised_with_its_members(service: str, operation: str, params: dict[str, Any]) -> None:
    found = call(service, operation, params)
    assert (found.service, found.operation, found.access_key) == (service, operation, "AKID")
    for name, value in params.items():
        if isinstance(value, str) and name != "CopySource":
            assert found.params.get(name) == value


@pytest.mark.parametrize("kind", ["json", "query", "smithy-rpc-v2-cbor"])
def test_cloudwatch_is_recognised_in_each_of_its_protocols(kind: str) -> None:
    found = call("cloudwatch", "DescribeAlarms", {"AlarmNames": ["a"]}, kind)
    assert (found.service, found.operation) == ("cloudwatch", "DescribeAlarms")


def test_a_bucket_in_the_host_is_found_too() -> None:
    made = sent("s3", "PutObject", {"Bucket": "b", "Key": "k"})
    for host in ("my.bucket.s3.us-east-1.amazonaws.com", "my.bucket.localhost:4566"):
        found = identify(
            Http(method="PUT", path="/k", query="", headers={**made.headers, "host": host}, body=lambda: b"")
        )
        assert found is not None
        assert (found.operation, found.params["Bucket"], found.params["Key"]) == ("PutObject", "my.bucket", "k")


def test_localclouds_own_requests_are_known_by_their_key() -> None:
    own = identify(sent("sts", "GetCallerIdentity", {}, key=OWN_KEY))
    assert own is not None
    assert own.is_internal
    assert not call("sts", "GetCallerIdentity", {}).is_internal


def test_a_container_is_a_client_like_any_other() -> None:
    """Else its requests would never be late or throttled."""
    container = OpenAccess().credentials("arn:aws:iam::123456789012:role/r", "SageMaker")
    assert container.key != OWN_KEY
    asked = identify(sent("sts", "GetCallerIdentity", {}, key=container.key))
    assert asked is not None
    assert not asked.is_internal


def test_an_unsigned_request_is_nobodys() -> None:
    assert identify(Http(method="GET", path="/", query="", headers={}, body=lambda: b"")) is None


def test_a_service_that_botocore_lacks_has_no_operation() -> None:
    headers = {"authorization": SCOPE.format("AKID", "nothing"), "x-amz-target": "Nothing.Do"}
    found = identify(Http(method="POST", path="/", query="", headers=headers, body=lambda: b"{}"))
    assert found is not None
    assert (found.service, found.operation, dict(found.params)) == ("nothing", "Do", {})


def test_named_follows_members_through_lists() -> None:
    params = {"a": [{"b": "1"}, {"b": "2"}, {"c": "3"}], "d": {"e": 4}}
    assert list(named(params, ("a", "b"))) == ["1", "2"]
    assert list(named(params, ("d", "e"))) == list(named(params, ("x",))) == []

"""The operation and parameters of a request, whatever protocol it speaks: as botocore's own serializers write it."""

from functools import cache
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest

from localcloud.authorization.calls import Asked, identify, s3_labels, signed
from localcloud.gateway.service import Request


class Sent(Exception):  # noqa: N818 (carries the request that botocore would send)
    """Ends a call before it is sent."""

    def __init__(self, request: Any) -> None:
        super().__init__("sent")
        self.request = request


def _stop(request: Any, **_: Any) -> None:
    raise Sent(request)


@cache
def _client(service: str) -> Any:
    session = botocore.session.get_session()
    session.set_credentials("AKIAEXAMPLE000000000", "secret", "token")
    client: Any = session.create_client(service, region_name="us-east-1", endpoint_url="http://127.0.0.1:4566")
    client.meta.events.register("before-send", _stop)
    return client


def sent(service: str, operation: str, **params: Any) -> Request:
    """The HTTP request that botocore makes of an operation."""
    client = _client(service)
    with pytest.raises(Sent) as caught:
        client._make_api_call(operation, params)
    request = caught.value.request
    url, body = urlsplit(request.url), request.body or b""
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else body.read()
    pairs = ((key.lower(), value) for key, value in request.headers.items())
    headers = {key: value if isinstance(value, str) else value.decode() for key, value in pairs}
    return Request(
        method=request.method, path=url.path, query=url.query, headers=headers, body=content, source="127.0.0.1"
    )


def asked(request: Request) -> Asked:
    found = identify(request, signed(request)[1])
    assert found is not None
    return found


KEY = {"Bucket": "pictures", "Key": "a/b c.jpg"}
UPLOAD = {**KEY, "UploadId": "u"}


@pytest.mark.parametrize(
    ("service", "operation", "params", "kept"),
    [
        ("s3", "GetObject", KEY, KEY),
        ("s3", "HeadObject", KEY, KEY),
        ("s3", "PutObject", {**KEY, "Body": b"x"}, KEY),
        ("s3", "CopyObject", {**KEY, "CopySource": "other/x"}, KEY),
        ("s3", "CreateMultipartUpload", KEY, KEY),
        ("s3", "UploadPart", {**UPLOAD, "PartNumber": 1, "Body": b"x"}, UPLOAD),
        ("s3", "UploadPartCopy", {**UPLOAD, "PartNumber": 1, "CopySource": "other/x"}, UPLOAD),
        ("s3", "AbortMultipartUpload", UPLOAD, UPLOAD),
        ("s3", "ListParts", UPLOAD, UPLOAD),
        ("s3", "GetObjectTagging", KEY, KEY),
        ("s3", "DeleteObject", {**KEY, "VersionId": "v"}, {**KEY, "VersionId": "v"}),
        ("s3", "ListObjects", {"Bucket": "pictures", "Prefix": "p/"}, {"Prefix": "p/"}),
        ("s3", "ListObjectsV2", {"Bucket": "pictures", "Prefix": "p/"}, {"Prefix": "p/"}),
        ("s3", "ListObjectVersions", {"Bucket": "pictures"}, {"Bucket": "pictures"}),
        ("s3", "ListBuckets", {}, {}),
        ("s3", "CreateBucket", {"Bucket": "pictures"}, {"Bucket": "pictures"}),
        ("s3", "GetBucketLifecycleConfiguration", {"Bucket": "pictures"}, {"Bucket": "pictures"}),
        ("s3", "PutBucketPolicy", {"Bucket": "pictures", "Policy": "{}"}, {"Bucket": "pictures"}),
        ("iam", "GetRole", {"RoleName": "r"}, {"RoleName": "r"}),
        ("iam", "CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{}", "Tags": [{"Key": "k", "Value": "v"}]},
         {"Tags": [{"Key": "k", "Value": "v"}]}),
        ("sts", "AssumeRole", {"RoleArn": "arn:aws:iam::123456789012:role/r", "RoleSessionName": "me"},
         {"RoleArn": "arn:aws:iam::123456789012:role/r"}),
        ("ec2", "TerminateInstances", {"InstanceIds": ["i-1", "i-2"]}, {"InstanceIds": ["i-1", "i-2"]}),
        ("ec2", "CreateSecurityGroup",
         {"GroupName": "g", "Description": "d",
          "TagSpecifications": [{"ResourceType": "security-group", "Tags": [{"Key": "k", "Value": "v"}]}]},
         {"TagSpecifications": [{"ResourceType": "security-group", "Tags": [{"Key": "k", "Value": "v"}]}]}),
        ("cloudwatch", "DeleteAlarms", {"AlarmNames": ["a"]}, {"AlarmNames": ["a"]}),
        ("logs", "CreateLogStream", {"logGroupName": "g", "logStreamName": "s"}, {"logStreamName": "s"}),
        ("ecr", "DescribeRepositories", {"repositoryNames": ["a/b"]}, {"repositoryNames": ["a/b"]}),
        ("sagemaker", "DescribeEndpoint", {"EndpointName": "e"}, {"EndpointName": "e"}),
        ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e", "Body": b"x"}, {"EndpointName": "e"}),
        ("lambda", "Invoke", {"FunctionName": "f", "Qualifier": "live"}, {"FunctionName": "f", "Qualifier": "live"}),
        ("application-autoscaling", "DescribeScalingPolicies", {"ServiceNamespace": "lambda"},
         {"ServiceNamespace": "lambda"}),
        ("service-quotas", "GetServiceQuota", {"ServiceCode": "s", "QuotaCode": "L-1"}, {"QuotaCode": "L-1"}),
        ("ssm", "GetParameter", {"Name": "/a/b"}, {"Name": "/a/b"}),
        ("pricing", "GetProducts", {"ServiceCode": "AmazonEC2"}, {"ServiceCode": "AmazonEC2"}),
    ],
)  # fmt: skip
def test_a_request_is_its_operation(service: str, operation: str, params: dict[str, Any], kept: dict[str, Any]) -> None:
    found = asked(sent(service, operation, **params))
    assert (found.service, found.operation) == (service, operation)
    assert {name: found.params[name] for name in kept} == kept


def test_a_deletion_of_objects_names_each_with_its_version() -> None:
    objects = [{"Key": "a&b", "VersionId": "1"}, {"Key": "c"}]
    found = asked(sent("s3", "DeleteObjects", Bucket="pictures", Delete={"Objects": objects}))
    assert found.params["Delete"]["Objects"] == objects


def test_a_bucket_may_stand_in_the_host_name() -> None:
    assert s3_labels("/a/b", "pictures.localhost:4566") == {"Bucket": "pictures", "Key": "a/b"}
    assert s3_labels("/pictures/a/b", "127.0.0.1:4566") == {"Bucket": "pictures", "Key": "a/b"}


def test_the_access_key_and_the_service_come_from_the_signature_or_a_presigned_query() -> None:
    request = sent("sagemaker", "ListModels")
    assert signed(request) == ("AKIAEXAMPLE000000000", "sagemaker")
    query = "X-Amz-Credential=ASIAEXAMPLE000000000%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=0"
    presigned = Request(method="GET", path="/b/k", query=query, headers={}, body=b"", source="")
    assert signed(presigned) == ("ASIAEXAMPLE000000000", "s3")
    assert signed(Request(method="GET", path="/b/k", query="", headers={}, body=b"", source="")) == ("", "")

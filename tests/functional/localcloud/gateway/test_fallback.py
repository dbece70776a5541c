"""Whatever moto cannot answer reaches an SDK as an error that it can read, in the protocol of its service."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import botocore.parsers
import botocore.serialize
import botocore.session
import pytest
from botocore.awsrequest import HeadersDict
from moto import backends
from werkzeug.test import EnvironBuilder, run_wsgi_app

from localcloud.gateway import fallback, protocol
from localcloud.gateway.server import Application
from localcloud.gateway.service import Service

# The services that Kennel and its third-party clients call.
NAMED = (
    *protocol.SERVICES, "cloudwatch", "logs", "iam", "sts", "s3", "s3control", "sagemaker-metrics",
    "sagemaker-featurestore-runtime",
)  # fmt: skip
MODELS = botocore.session.get_session()


def _value(shape: Any, parents: Sequence[str] = ()) -> Any:
    """A value that fits a shape, with nothing but its required members."""
    kind = shape.type_name
    if kind == "structure":
        names = [] if shape.name in parents else list(shape.required_members)
        return {name: _value(shape.members[name], (*parents, shape.name)) for name in names}
    if kind == "list":
        return [_value(shape.member, parents)]
    if kind == "string":
        return next(iter(shape.metadata.get("enum", ())), "a" * max(3, shape.metadata.get("min", 1)))
    simple: dict[str, Any] = {
        "map": {}, "boolean": True, "blob": b"x", "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    return simple.get(kind, shape.metadata.get("min", 1))


def _environ(service: str, operation: str) -> dict[str, Any]:
    """The request that botocore would send, as a WSGI environment."""
    model = MODELS.get_service_model(service)
    described = model.operation_model(operation)
    serializer = botocore.serialize.create_serializer(model.resolved_protocol, include_validation=False)
    params = _value(described.input_shape) if described.input_shape is not None else {}
    request = serializer.serialize_to_request(params, described)
    body = request["body"] or b""
    body = urlencode(body, doseq=True) if isinstance(body, dict) else body
    parts = urlsplit(request["url_path"])
    query = "&".join(filter(None, [parts.query, urlencode(request["query_string"] or {}, doseq=True)]))
    headers = {name: str(value) for name, value in request["headers"].items()}
    scope = f"AKID/20260101/us-east-1/{model.signing_name}/aws4_request"
    headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    environ = EnvironBuilder(
        method=request["method"], path=parts.path, query_string=query, headers=headers,
        data=body.encode() if isinstance(body, str) else body, content_type=headers.get("Content-Type"),
    ).get_environ()  # fmt: skip
    # Real servers send these with every request.
    return {**environ, "REQUEST_URI": f"{parts.path}?{query}", "CONTENT_LENGTH": environ.get("CONTENT_LENGTH") or "0"}


def _ask(app: Application, service: str, operation: str) -> tuple[int, dict[str, Any]]:
    """The status and botocore's reading of the answer. Raises ResponseParserError."""
    chunks, status, headers = run_wsgi_app(app, _environ(service, operation))
    model = MODELS.get_service_model(service)
    code = int(status.split()[0])
    raw = {"headers": HeadersDict(dict(headers)), "status_code": code, "body": b"".join(chunks)}
    shape: Any = model.operation_model(operation).output_shape
    parsed: dict[str, Any] = botocore.parsers.create_parser(model.resolved_protocol).parse(raw, shape)
    return code, parsed


@pytest.fixture(scope="module")
def app() -> Iterator[Application]:
    yield Application([], region="us-east-1", health=dict)
    for name in ("sagemaker", "ecr", "iam", "s3"):
        backends.get_backend(name).reset()


@pytest.mark.parametrize("service", NAMED)
def test_no_operation_of_a_service_answers_with_what_its_sdk_cannot_read(app: Application, service: str) -> None:
    model = MODELS.get_service_model(service)
    unreadable = {}
    for operation in model.operation_names:
        if model.operation_model(operation).http["method"] == "HEAD":
            continue  # has no body by HTTP's rules
        try:
            status, parsed = _ask(app, service, operation)
        except botocore.parsers.ResponseParserError as error:
            unreadable[operation] = repr(error)
            continue
        code = parsed.get("Error", {}).get("Code")
        if status >= 400 and code in (None, "", str(status)):
            unreadable[operation] = f"{status} {parsed}"
    assert unreadable == {}


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("sagemaker", "ListActions"),  # json 1.1
        ("dynamodb", "ListGlobalTables"),  # json 1.0
        ("ecr", "GetLifecyclePolicyPreview"),
        ("iam", "SimulatePrincipalPolicy"),  # query
        ("ec2", "DescribeByoipCidrs"),  # ec2
        ("lambda", "GetRuntimeManagementConfig"),  # rest-json, a path that moto lacks
        ("cloudfront", "ListAnycastIpLists"),  # rest-xml
        ("wellarchitected", "ListLenses"),  # a service that moto lacks, rest-json
        ("importexport", "ListJobs"),  # a service that moto lacks, query
        ("partnercentral-revenue-measurement", None),  # smithy-rpc-v2-cbor
    ],
)
def test_an_operation_that_nobody_answers_is_a_typed_error_that_says_so(
    app: Application, service: str, operation: str | None
) -> None:
    status, parsed = _ask(app, service, operation or MODELS.get_service_model(service).operation_names[0])
    assert (status, parsed["Error"]["Code"]) == (501, "NotImplemented")
    assert "localcloud does not answer" in parsed["Error"]["Message"]


def test_no_operation_on_a_sub_resource_of_s3_is_taken_for_one_on_the_bucket(app: Application) -> None:
    model = MODELS.get_service_model("s3")
    assert _ask(app, "s3", "CreateBucket")[0] == 200
    taken = []
    for operation in model.operation_names:
        query = model.operation_model(operation).http["requestUri"].partition("?")[2]
        if not query or operation.startswith(("ListObjects", "PutBucketPolicy")):
            continue  # the policy of such a request would forbid all others
        chunks, status, _ = run_wsgi_app(app, _environ("s3", operation))
        if b"<ListBucketResult" in b"".join(chunks):
            taken.append(f"{operation}: {status}")
        if _ask(app, "s3", "GetBucketLocation")[0] != 200:
            taken.append(f"{operation} deleted the bucket")
            _ask(app, "s3", "CreateBucket")
    assert taken == []


def test_the_protocol_of_every_service_is_read_from_the_request_alone() -> None:
    names = {"rest-xml": "rest-xml", "smithy-rpc-v2-cbor": "cbor", "json": "json-{jsonVersion}"}
    wrong = {}
    for service in MODELS.get_available_services():
        model = MODELS.get_service_model(service)
        spoken = "s3" if model.signing_name == "s3" else names.get(model.resolved_protocol, model.resolved_protocol)
        read = fallback.asked(_environ(service, model.operation_names[0])).protocol
        if read != spoken.format(**model.metadata):
            wrong[service] = read
    assert wrong == {}


@pytest.mark.parametrize("path", ["/", "/moto-api/", "/moto-api/reset", "/moto-api", "/moto-api-pictures/1.jpg"])
def test_no_path_leads_past_the_guard_to_aws(path: str) -> None:
    """A path of moto's own must not carry a request that a header names to a handler."""
    reached: list[str] = []

    def list_models(_: object) -> dict[str, list[str]]:
        reached.append("ListModels")
        return {"Models": []}

    app = Application(
        [Service(name="sagemaker", handlers={"ListModels": list_models})],
        region="us-east-1",
        health=dict,
        guard=lambda _: protocol.Response(status=403, headers={}, body=b"no"),
    )
    scope = "Credential=k/20261130/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}", "X-Amz-Target": "SageMaker.ListModels"}
    builder = EnvironBuilder(path=path, method="POST", headers=list(headers.items()), data=b"{}")
    _, status, _ = run_wsgi_app(app, builder.get_environ())
    assert reached == []
    assert status.startswith("403") == (not path.startswith("/moto-api/"))

"""boto3 clients with a role's session, a user's key, and nobody's: allowed and refused as on AWS."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from localcloud.authorization.needs import Need
from localcloud.authorization.other_operations import EVERY
from localcloud.authorization.simulator import Case, Policies
from localcloud.aws_client import Credentials
from tests.functional.localcloud.authorization.fixtures import (
    ACCOUNT,
    FUNCTION,
    REGION,
    Enforced,
    allow,
    document,
    enforced,
    trust,
)

BUCKET = "arn:aws:s3:::pictures"
ENDPOINT = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/dogs"
REPOSITORY = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/dogs/train"


@pytest.fixture(scope="module")
def server() -> Iterator[Enforced]:
    with enforced() as server:
        yield server


@pytest.fixture
def aws(server: Enforced) -> Enforced:
    """The server, emptied, with a bucket and an object."""
    requests.post(f"{server.url}/moto-api/reset", timeout=10)
    server.function_policy.clear()
    s3 = server.root("s3")
    for bucket in ("pictures", "others"):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="a/1.jpg", Body=b"picture")
    return server


def refusal(call: Any, **params: Any) -> tuple[str, str]:
    """Code and message of the refusal of a call."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error.get("Message", "")


def test_a_role_reads_its_bucket_and_no_other(aws: Enforced) -> None:
    session = aws.session(aws.role("reader", allow("s3:GetObject", f"{BUCKET}/a/*")))
    s3 = aws.client("s3", session)
    assert s3.get_object(Bucket="pictures", Key="a/1.jpg")["Body"].read() == b"picture"
    code, message = refusal(s3.get_object, Bucket="others", Key="a/1.jpg")
    assert code == "AccessDenied"
    assert message == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/reader/me is not authorized to perform: s3:GetObject on resource: "
        '"arn:aws:s3:::others/a/1.jpg" because no identity-based policy allows the s3:GetObject action'
    )
    assert refusal(s3.put_object, Bucket="pictures", Key="a/1.jpg", Body=b"x")[0] == "AccessDenied"
    assert refusal(s3.head_object, Bucket="others", Key="a/1.jpg") == ("403", "Forbidden")


def test_conditions_see_the_request(aws: Enforced) -> None:
    listed = allow("s3:ListBucket", BUCKET, Condition={"StringLike": {"s3:prefix": "a/*"}})
    s3 = aws.client("s3", aws.session(aws.role("lister", listed)))
    assert s3.list_objects_v2(Bucket="pictures", Prefix="a/")["KeyCount"] == 1
    assert refusal(s3.list_objects_v2, Bucket="pictures")[0] == "AccessDenied"


def test_a_changed_policy_counts_at_once(aws: Enforced) -> None:
    session = aws.session(aws.role("reader", allow("s3:GetObject", f"{BUCKET}/*")))
    s3 = aws.client("s3", session)
    s3.get_object(Bucket="pictures", Key="a/1.jpg")
    aws.root("iam").delete_role_policy(RoleName="reader", PolicyName="rights")
    assert refusal(s3.get_object, Bucket="pictures", Key="a/1.jpg")[0] == "AccessDenied"


def test_a_buckets_policy_opens_and_closes_it(aws: Enforced) -> None:
    role = aws.role("nobody")
    s3 = aws.client("s3", aws.session(role))
    assert refusal(s3.get_object, Bucket="pictures", Key="a/1.jpg")[0] == "AccessDenied"
    opened = document(allow("s3:GetObject", f"{BUCKET}/*", Principal={"AWS": role}))
    aws.root("s3").put_bucket_policy(Bucket="pictures", Policy=opened)
    assert s3.get_object(Bucket="pictures", Key="a/1.jpg")["Body"].read() == b"picture"
    closed = document(allow("s3:GetObject", f"{BUCKET}/*", effect="Deny", Principal="*"))
    aws.root("s3").put_bucket_policy(Bucket="pictures", Policy=closed)
    _, message = refusal(s3.get_object, Bucket="pictures", Key="a/1.jpg")
    assert message.endswith("with an explicit deny in a resource-based policy")


def test_a_bucket_that_asks_for_tls_answers_because_localcloud_plays_https(aws: Enforced) -> None:
    tls = allow("s3:*", BUCKET, f"{BUCKET}/*", effect="Deny", Principal="*")
    tls["Condition"] = {"Bool": {"aws:SecureTransport": "false"}}
    aws.root("s3").put_bucket_policy(Bucket="pictures", Policy=document(tls))
    s3 = aws.client("s3", aws.session(aws.role("lister", allow("s3:ListBucket", BUCKET))))
    # Not GetObject: moto has a check of its own there, which overlooks conditions.
    assert s3.list_objects_v2(Bucket="pictures")["KeyCount"] == 1
    tls["Condition"] = {"Bool": {"aws:SecureTransport": "true"}}
    aws.root("s3").put_bucket_policy(Bucket="pictures", Policy=document(tls))
    assert refusal(s3.list_objects_v2, Bucket="pictures")[1].endswith("explicit deny in a resource-based policy")


def test_an_endpoint_is_asked_by_those_who_may(aws: Enforced) -> None:
    role = aws.role("asker", allow("sagemaker:InvokeEndpoint", ENDPOINT))
    runtime = aws.client("sagemaker-runtime", aws.session(role))
    assert runtime.invoke_endpoint(EndpointName="Dogs", Body=b"x")["Body"].read() == b"answered"
    code, message = refusal(runtime.invoke_endpoint, EndpointName="cats", Body=b"x")
    assert code == "AccessDeniedException"
    assert message.endswith(
        "endpoint/cats because no identity-based policy allows the sagemaker:InvokeEndpoint action"
    )  # fmt: skip


def test_a_functions_policy_lets_a_role_without_rights_invoke_it(aws: Enforced) -> None:
    role = aws.role("nobody")
    functions = aws.client("lambda", aws.session(role))
    assert refusal(functions.invoke, FunctionName="shared")[0] == "AccessDeniedException"
    statement = allow("lambda:InvokeFunction", FUNCTION, Principal={"AWS": role})
    aws.function_policy.append(document(statement))
    assert functions.invoke(FunctionName="shared")["StatusCode"] == 200
    assert refusal(functions.invoke, FunctionName="other")[0] == "AccessDeniedException"


def test_a_repositorys_policy_counts_too(aws: Enforced) -> None:
    root = aws.root("ecr")
    root.create_repository(repositoryName="dogs/train")
    role = aws.role("puller")
    ecr = aws.client("ecr", aws.session(role))
    assert refusal(ecr.list_images, repositoryName="dogs/train")[0] == "AccessDeniedException"
    opened = document({"Effect": "Allow", "Principal": {"AWS": role}, "Action": "ecr:ListImages"})
    root.set_repository_policy(repositoryName="dogs/train", policyText=opened)
    assert ecr.list_images(repositoryName="dogs/train")["imageIds"] == []


def test_repositories_without_names_need_a_right_on_all(aws: Enforced) -> None:
    aws.root("ecr").create_repository(repositoryName="dogs/train")
    ecr = aws.client("ecr", aws.session(aws.role("describer", allow("ecr:DescribeRepositories", REPOSITORY))))
    assert len(ecr.describe_repositories(repositoryNames=["dogs/train"])["repositories"]) == 1
    code, message = refusal(ecr.describe_repositories)
    assert code == "AccessDeniedException"
    assert f"on resource: arn:aws:ecr:{REGION}:{ACCOUNT}:repository/* because" in message


def test_a_boundary_holds_a_role_back(aws: Enforced) -> None:
    iam = aws.root("iam")
    bounds = iam.create_policy(PolicyName="bounds", PolicyDocument=document(allow("s3:List*", "*")))["Policy"]["Arn"]
    role = aws.role("bounded", allow("s3:*", "*"), PermissionsBoundary=bounds)
    s3 = aws.client("s3", aws.session(role))
    assert len(s3.list_buckets()["Buckets"]) == 2
    _, message = refusal(s3.get_object, Bucket="pictures", Key="a/1.jpg")
    assert message.endswith("because no permissions boundary allows the s3:GetObject action")


def test_a_session_policy_holds_a_session_back(aws: Enforced) -> None:
    role = aws.role("wide", allow("s3:*", "*"))
    s3 = aws.client("s3", aws.session(role, Policy=document(allow("s3:GetObject", f"{BUCKET}/*"))))
    s3.get_object(Bucket="pictures", Key="a/1.jpg")
    _, message = refusal(s3.list_objects_v2, Bucket="pictures")
    assert message.endswith("because no session policy allows the s3:ListBucket action")


def test_a_role_is_assumed_by_those_whom_it_trusts(aws: Enforced) -> None:
    target = f"arn:aws:iam::{ACCOUNT}:role/target"
    asker = aws.role("asker", allow("sts:AssumeRole", target))
    sts = aws.client("sts", aws.session(asker))
    aws.role("target", trusts=trust({"Service": "sagemaker.amazonaws.com"}))
    code, message = refusal(sts.assume_role, RoleArn=target, RoleSessionName="it")
    assert (code, message) == (
        "AccessDenied",
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/asker/me is not authorized to perform: sts:AssumeRole on resource: "
        f"{target}",
    )
    iam = aws.root("iam")
    iam.update_assume_role_policy(RoleName="target", PolicyDocument=trust({"AWS": asker}))
    assert sts.assume_role(RoleArn=target, RoleSessionName="it")["AssumedRoleUser"]["Arn"].endswith("target/it")
    condition = {"StringEquals": {"sts:ExternalId": "secret"}}
    iam.update_assume_role_policy(RoleName="target", PolicyDocument=trust({"AWS": asker}, Condition=condition))
    assert refusal(sts.assume_role, RoleArn=target, RoleSessionName="it")[0] == "AccessDenied"
    assert sts.assume_role(RoleArn=target, RoleSessionName="it", ExternalId="secret")["Credentials"]


def test_an_instance_is_run_by_its_tags_and_passes_its_role(aws: Enforced) -> None:
    iam, ec2 = aws.root("iam"), aws.root("ec2")
    aws.role("machine", trusts=trust({"Service": "ec2.amazonaws.com"}))
    iam.create_instance_profile(InstanceProfileName="profile")
    iam.add_role_to_instance_profile(InstanceProfileName="profile", RoleName="machine")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    place = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
    runs = allow("ec2:RunInstances ec2:CreateTags", "*")
    passes = allow("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/machine")
    ours = {"StringEquals": {"aws:ResourceTag/team": "dogs"}}
    ends = allow("ec2:TerminateInstances", f"{place}:instance/*", Condition=ours)
    runner = aws.client("ec2", aws.session(aws.role("runner", runs, ends)))
    request = {"ImageId": image, "MinCount": 1, "MaxCount": 1, "IamInstanceProfile": {"Name": "profile"}}
    code, message = refusal(runner.run_instances, **request)
    assert code == "UnauthorizedOperation"
    assert f"perform: iam:PassRole on resource: arn:aws:iam::{ACCOUNT}:role/machine because" in message
    iam.put_role_policy(RoleName="runner", PolicyName="rights", PolicyDocument=document(runs, ends, passes))
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "dogs"}]}]
    mine = runner.run_instances(**request, TagSpecifications=tags)["Instances"][0]["InstanceId"]
    others = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    assert refusal(runner.terminate_instances, InstanceIds=[others])[0] == "UnauthorizedOperation"
    assert runner.terminate_instances(InstanceIds=[mine])["TerminatingInstances"]


def test_a_user_has_their_groups_rights(aws: Enforced) -> None:
    iam = aws.root("iam")
    iam.create_user(UserName="ann")
    iam.create_group(GroupName="readers")
    own = document(allow("s3:GetObject", f"{BUCKET}/${{aws:username}}/*"))
    iam.put_group_policy(GroupName="readers", PolicyName="p", PolicyDocument=own)
    iam.add_user_to_group(GroupName="readers", UserName="ann")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    s3 = aws.client("s3", Credentials(key=key["AccessKeyId"], secret=key["SecretAccessKey"]))
    aws.root("s3").put_object(Bucket="pictures", Key="ann/1.jpg", Body=b"hers")
    assert s3.get_object(Bucket="pictures", Key="ann/1.jpg")["Body"].read() == b"hers"
    _, message = refusal(s3.get_object, Bucket="pictures", Key="a/1.jpg")
    assert message.startswith(f"User: arn:aws:iam::{ACCOUNT}:user/ann is not authorized")


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("iam", "list_roles", "InvalidClientTokenId"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("ec2", "describe_instances", "AuthFailure"),
        ("sagemaker", "list_models", "UnrecognizedClientException"),
        ("lambda", "list_functions", "UnrecognizedClientException"),
        ("cloudwatch", "describe_alarms", "InvalidClientTokenId"),
    ],
)
def test_a_key_that_nobody_has_is_refused_as_on_aws(aws: Enforced, service: str, operation: str, code: str) -> None:
    nobody = aws.client(service, Credentials(key="AKIAUNKNOWNUNKNOWN00", secret="x"))
    assert refusal(getattr(nobody, operation))[0] == code


def test_a_request_without_a_signature_is_refused(aws: Enforced) -> None:
    answer = requests.get(f"{aws.url}/pictures/a/1.jpg", timeout=10)
    assert (answer.status_code, "<Code>AccessDenied</Code>" in answer.text) == (403, True)
    target = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
    assert requests.post(aws.url, data="{}", headers=target, timeout=10).status_code == 403
    assert requests.get(f"{aws.url}/_localcloud/health", timeout=10).status_code == 200


def test_an_operation_without_a_line_in_the_table_is_refused_by_its_name(aws: Enforced) -> None:
    session = aws.session(aws.role("admin", allow("*", "*")))
    code, message = refusal(aws.client("sagemaker", session).list_apps)
    assert code == "AccessDeniedException"
    assert "does not know which rights sagemaker.ListApps needs" in message
    assert "dynamodb.ListTables" in refusal(aws.client("dynamodb", session).list_tables)[1]
    assert "sns.ListTopics" in refusal(aws.client("sns", session).list_topics)[1]


def test_whoever_may_call_may_ask_who_they_are(aws: Enforced) -> None:
    session = aws.session(aws.role("nobody"))
    assert aws.client("sts", session).get_caller_identity()["Arn"].endswith("assumed-role/nobody/me")


def test_root_is_not_judged(aws: Enforced) -> None:
    assert aws.root("sns").list_topics()["Topics"] == []


def test_a_known_decision_takes_no_question_and_a_new_one_little_time(aws: Enforced) -> None:
    caller = aws.enforcement.identities.of_role(aws.role("reader", allow("s3:GetObject", f"{BUCKET}/*")), "me")
    aws.enforcement.first_refused(caller, [Need(action="s3:GetObject", resource=f"{BUCKET}/warm")], {})
    began = time.perf_counter()
    for number in range(50):
        need = Need(action="s3:GetObject", resource=f"{BUCKET}/{number}")
        assert aws.enforcement.first_refused(caller, [need], {}) is None
    assert (time.perf_counter() - began) / 50 < 0.05  # about 2 ms each on an idle machine
    aws.enforcement.simulator.close()
    process = aws.enforcement.simulator.pid
    for number in range(50):
        need = Need(action="s3:GetObject", resource=f"{BUCKET}/{number}")
        assert aws.enforcement.first_refused(caller, [need], {}) is None
    assert (process, aws.enforcement.simulator.pid) == (None, None)


def test_every_action_of_the_table_exists_in_aws(server: Enforced) -> None:
    examples = {
        "RoleName": "r", "FunctionName": "f", "PolicyName": "p", "Bucket": "b", "Key": "k", "CopySource": "b/k",
        "UserName": "u", "GroupName": "g", "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/p", "logGroupName": "g",
        "logStreamName": "s", "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "repositoryName": "r", "ImageId": "ami-1",
        "ServiceNamespace": "lambda", "ResourceId": "function:f:a", "EndpointName": "e", "InstanceIds": ["i-1"],
        "Name": "/p",
    }  # fmt: skip
    role = f"arn:aws:iam::{ACCOUNT}:role/r"

    def wrong(**more: str) -> set[str]:
        """The operations whose needs the simulator does not know."""
        needs = [
            (name, need)
            for name, rule in EVERY.items()
            for need in rule({**examples, **more}, server.enforcement.account)
        ]
        assert len(needs) > 120
        cases = [Case(principal=role, account=ACCOUNT, need=need, policies=Policies()) for _, need in needs]
        verdicts = server.enforcement.simulator.decide(cases)
        return {f"{name}: {need.action}" for (name, need), each in zip(needs, verdicts, strict=True) if each.error}

    # Some actions are on a function, some on its alias only.
    assert wrong() & wrong(Qualifier="live") == set()

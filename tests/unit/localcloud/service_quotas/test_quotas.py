"""The account's quotas, and the requests that localcloud refuses beyond them."""

from dataclasses import replace
from pathlib import Path

import pytest

from localcloud.environment import QUOTAS
from localcloud.errors import ApiError, LocalcloudError
from localcloud.sagemaker.training.api import TrainingJobs
from localcloud.service_quotas.api import ServiceQuotas
from localcloud.service_quotas.limits import Quotas, quotas_of
from tests.unit.localcloud.fakes import FakeObjects, cloud, training_request
from tests.unit.localcloud.sagemaker.hosting.fixtures import Fakes, one


def service_quotas(quotas: Quotas) -> ServiceQuotas:
    account = cloud(Path("/nowhere"))
    return ServiceQuotas(quotas, arn=account.arn, now=account.now)


def test_without_quotas_no_request_is_refused() -> None:
    quotas_of({}).require("ml.p4d.24xlarge", "training job usage", count=100)


def test_a_new_account_is_refused_an_instance_with_a_gpu_in_aws_words() -> None:
    with pytest.raises(ApiError, match=r"'ml.g5.xlarge for endpoint usage' is 0 Instances, with current "):
        quotas_of({QUOTAS.name: "new-account"}).require("ml.g5.xlarge", "endpoint usage", count=1)


def test_running_instances_count() -> None:
    quotas = quotas_of({QUOTAS.name: "new-account"})
    quotas.require("ml.m5.large", "endpoint usage", count=2, used=2)
    with pytest.raises(ApiError, match="utilization of 3 Instances and a request delta of 2"):
        quotas.require("ml.m5.large", "endpoint usage", count=2, used=3)


@pytest.mark.parametrize("text", ["/nowhere.json", "new_account"])
def test_a_missing_file_of_quotas_is_named(text: str) -> None:
    with pytest.raises(LocalcloudError, match=text):
        quotas_of({QUOTAS.name: text})


def test_an_approved_request_raises_the_quota() -> None:
    service = service_quotas(Quotas(limited=True))
    name = "ml.g4dn.xlarge for training job usage"
    listed = service.list({"ServiceCode": "sagemaker", "MaxResults": 10_000})["Quotas"]
    quota = next(each for each in listed if each["QuotaName"] == name)
    place = {"ServiceCode": "sagemaker", "QuotaCode": quota["QuotaCode"]}
    with pytest.raises(ApiError, match="greater than the current value of 0"):
        service.request({**place, "DesiredValue": 0.0})
    requested = service.request({**place, "DesiredValue": 2.0})["RequestedQuota"]
    with pytest.raises(ApiError, match="Only one open"):
        service.request({**place, "DesiredValue": 3.0})
    assert service.get(place)["Quota"]["Value"] == 0.0
    service.approve({"id": requested["Id"]})
    assert service.get(place)["Quota"]["Value"] == 2.0
    assert service.history({"Status": "APPROVED"})["RequestedQuotas"][0]["QuotaName"] == name


def test_quotas_are_listed_in_pages() -> None:
    service = service_quotas(Quotas())
    codes, token = [], None
    while True:
        page = service.list({"ServiceCode": "sagemaker", **({"NextToken": token} if token else {})})
        codes += [quota["QuotaCode"] for quota in page["Quotas"]]
        token = page.get("NextToken")
        if token is None:
            break
    assert len(codes) == len(set(codes)) > 100


def test_a_job_beyond_the_quota_is_refused_before_it_exists(tmp_path: Path) -> None:
    jobs = TrainingJobs(replace(cloud(tmp_path, objects=FakeObjects("data")), quotas=Quotas(limited=True)))
    resources = {"InstanceType": "ml.g5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 1}
    with pytest.raises(ApiError, match=r"'ml.g5.xlarge for training job usage' is 0 Instances"):
        jobs.create(training_request(ResourceConfig=resources))
    assert jobs.list({})["TrainingJobSummaries"] == []


def test_an_endpoint_beyond_the_quota_is_refused_before_it_exists() -> None:
    fakes = Fakes()
    fakes.model()
    fakes.config("c", one(InstanceType="ml.g5.xlarge"))
    fakes.cloud.quotas.limited = True
    with pytest.raises(ApiError, match=r"'ml.g5.xlarge for endpoint usage' is 0 Instances"):
        fakes.do("CreateEndpoint", EndpointName="E", EndpointConfigName="c")
    assert fakes.endpoints.endpoints == {}

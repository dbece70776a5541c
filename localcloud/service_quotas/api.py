"""The operations of Service Quotas: read the account's quotas and request higher ones. moto has no such quotas."""

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from localcloud.errors import ApiError
from localcloud.gateway.service import Service
from localcloud.service_quotas.limits import Quota, Quotas, catalogue

PAGE = 100
SERVICES = {"sagemaker": "Amazon SageMaker", "ec2": "Amazon Elastic Compute Cloud (Amazon EC2)", "lambda": "AWS Lambda"}
OPEN = ("PENDING", "CASE_OPENED")


class ServiceQuotas:
    """The quotas of one account and the requests to increase them. A local route approves a request. Thread-safe."""

    def __init__(self, quotas: Quotas, *, arn: Callable[[str, str], str], now: Callable[[], datetime]) -> None:
        self._quotas, self._arn, self._now = quotas, arn, now
        self._requests: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def service(self) -> Service:
        return Service(
            name="service-quotas",
            handlers={
                "ListServices": self.services,
                "ListServiceQuotas": self.list,
                "GetServiceQuota": self.get,
                "ListAWSDefaultServiceQuotas": self.defaults,
                "RequestServiceQuotaIncrease": self.request,
                "GetRequestedServiceQuotaChange": self.requested,
                "ListRequestedServiceQuotaChangeHistory": self.history,
            },
            local={"POST quotas/{id}/approve": self.approve},
        )

    def services(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"Services": [{"ServiceCode": code, "ServiceName": name} for code, name in SERVICES.items()]}

    def list(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """ListServiceQuotas. NextToken is an offset."""
        return self._page(self._quotas.all(_known(params["ServiceCode"])), params)

    def defaults(self, params: Mapping[str, Any]) -> dict[str, Any]:
        service = _known(params["ServiceCode"])
        return self._page([quota for quota in catalogue() if quota.service == service], params)

    def get(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"Quota": self._described(self._find(params))}

    def request(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """RequestServiceQuotaIncrease: one open request a quota, for more than its value."""
        quota = self._find(params)
        if params["DesiredValue"] <= quota.value:
            raise ApiError(
                "IllegalArgumentException",
                f"You must provide a quota value greater than the current value of {quota.value:g}.",
            )
        with self._lock:
            if any(each["QuotaCode"] == quota.code and each["Status"] in OPEN for each in self._requests.values()):
                raise ApiError(
                    "ResourceAlreadyExistsException",
                    "Only one open service quota increase request is allowed per quota.",
                )
            described, now, number = self._described(quota), self._now(), uuid.uuid4().hex
            request = {
                **{key: described[key] for key in ("ServiceCode", "ServiceName", "QuotaCode", "QuotaName", "QuotaArn")},
                "Id": number,
                "DesiredValue": params["DesiredValue"],
                "Status": "PENDING",
                "Created": now,
                "LastUpdated": now,
            }
            self._requests[number] = request
            return {"RequestedQuota": dict(request)}

    def requested(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            return {"RequestedQuota": dict(self._request(params["RequestId"]))}

    def history(self, params: Mapping[str, Any]) -> dict[str, Any]:
        filters = {key: params[key] for key in ("ServiceCode", "Status") if params.get(key)}
        with self._lock:
            requests = [dict(each) for each in self._requests.values() if filters.items() <= each.items()]
        return {"RequestedQuotas": requests}

    def approve(self, labels: Mapping[str, Any]) -> dict[str, Any]:
        """Approve a request, as AWS's support does after hours or days."""
        with self._lock:
            request = self._request(labels["id"])
            request |= {"Status": "APPROVED", "LastUpdated": self._now()}
            self._quotas.values[request["QuotaCode"]] = request["DesiredValue"]
            return {"approved": request["QuotaName"]}

    def _request(self, number: str) -> dict[str, Any]:
        if number not in self._requests:
            raise ApiError("NoSuchResourceException", "The requested resource does not exist.")
        return self._requests[number]

    def _find(self, params: Mapping[str, Any]) -> Quota:
        for quota in self._quotas.all(_known(params["ServiceCode"])):
            if quota.code == params["QuotaCode"]:
                return quota
        raise ApiError("NoSuchResourceException", "The request failed because the specified quota does not exist.")

    def _page(self, quotas: Sequence[Quota], params: Mapping[str, Any]) -> dict[str, Any]:
        first = int(params.get("NextToken") or 0)
        last = first + params.get("MaxResults", PAGE)
        page: dict[str, Any] = {"Quotas": [self._described(quota) for quota in quotas[first:last]]}
        return page | ({"NextToken": str(last)} if last < len(quotas) else {})

    def _described(self, quota: Quota) -> dict[str, Any]:
        return {
            "ServiceCode": quota.service,
            "ServiceName": SERVICES[quota.service],
            "QuotaArn": self._arn("servicequotas", f"{quota.service}/{quota.code}"),
            "QuotaCode": quota.code,
            "QuotaName": quota.name,
            "Value": quota.value,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }


def service(quotas: Quotas, *, arn: Callable[[str, str], str], now: Callable[[], datetime]) -> Service:
    """Service Quotas for the server. `arn` builds an ARN from a service and a resource."""
    return ServiceQuotas(quotas, arn=arn, now=now).service()


def price_list() -> Service:
    """The Price List service, without prices: clients fall back on the prices that they know."""
    return Service(name="pricing", handlers={"GetProducts": lambda _: {"FormatVersion": "aws_v1", "PriceList": []}})


def _known(service: str) -> str:
    if service not in SERVICES:
        raise ApiError("NoSuchResourceException", "The request failed because the specified service does not exist.")
    return service

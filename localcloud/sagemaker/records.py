"""SageMaker records that localcloud keeps itself, and how List operations filter, sort and page them."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.cloud import Cloud
from localcloud.errors import ApiError
from localcloud.s3 import Location, location

Params = dict[str, Any]


PAGE = 10  # the default page size of SageMaker's List operations


def invalid(message: str) -> ApiError:
    """Return SageMaker's usual error for a bad request."""
    return ApiError("ValidationException", message, 400)


def s3(uri: str) -> Location:
    """Parse an S3 address of a request. Raises ApiError ValidationException."""
    try:
        return location(uri)
    except ValueError as error:
        raise invalid(str(error)) from None


@dataclass(kw_only=True)
class RecordStore:
    """Named records of one resource type, each a dict as Describe returns it. Thread-safe.

    `kind` is the type in ARNs, `noun` the type in SageMaker's messages.
    """

    cloud: Cloud
    kind: str
    noun: str
    records: dict[str, Params] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def arn(self, name: str) -> str:
        """Return the ARN; SageMaker lower-cases the name in it (rule 79)."""
        return self.cloud.arn("sagemaker", f"{self.kind}/{name.lower()}")

    def add(self, name: str, record: Params) -> str:
        """Keep a new record and return its ARN. Raises ApiError for a name that is in use."""
        with self.lock:
            if name in self.records:
                raise invalid(f'Cannot create already existing {self.noun} "{self.arn(name)}".')
            self.records[name] = {**record, "CreationTime": self.cloud.now()}
        return self.arn(name)

    def get(self, name: str) -> Params:
        """Return the record. Raises ApiError, as Describe does, when there is none."""
        with self.lock:
            if name not in self.records:
                raise invalid(f'Could not find {self.noun} "{self.arn(name)}".')
            return self.records[name]

    def remove(self, name: str) -> None:
        with self.lock:
            self.get(name)
            del self.records[name]


def page(
    rows: Iterable[Params], params: Mapping[str, Any], *, name: str, out: str, status: str = "EndpointStatus"
) -> Params:
    """Filter, sort and page rows as SageMaker's List operations do: newest first; NextToken is an offset.

    `name` and `status` are the rows' keys for both, `out` is the answer's key for the rows.
    """
    default_order = "Descending" if params.get("SortBy", "CreationTime") == "CreationTime" else "Ascending"
    keys = {"Name": name, "Status": status}
    key = keys.get(params.get("SortBy", ""), "CreationTime")
    matches = [row for row in rows if _matches(row, params, name, status)]
    matches.sort(key=lambda row: row[key], reverse=params.get("SortOrder", default_order) == "Descending")
    start, size = int(params.get("NextToken") or 0), int(params.get("MaxResults") or PAGE)
    answer: Params = {out: matches[start : start + size]}
    if start + size < len(matches):
        answer["NextToken"] = str(start + size)
    return answer


def _matches(row: Params, params: Mapping[str, Any], name: str, status: str) -> bool:
    """Return whether a row passes the request's filters."""
    if params.get("NameContains", "").lower() not in row[name].lower():
        return False
    if "StatusEquals" in params and row.get(status) != params["StatusEquals"]:
        return False
    for attribute in ("CreationTime", "LastModifiedTime"):
        before, after = params.get(f"{attribute}Before"), params.get(f"{attribute}After")
        if before is not None and not row[attribute] < before:
            return False
        if after is not None and not row[attribute] > after:
            return False
    return True

"""SageMaker's AddTags, ListTags and DeleteTags for the resources that localcloud keeps. moto keeps all other tags."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.gateway.service import PassToMoto, Service


class Tags:
    """Tags by ARN. `put` adds a resource with its tags; `forget` removes it. Thread-safe."""

    def __init__(self) -> None:
        self._by_arn: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    def put(self, arn: str, tags: Iterable[Mapping[str, str]] | None) -> None:
        with self._lock:
            self._by_arn.setdefault(arn, {}).update({tag["Key"]: tag["Value"] for tag in tags or ()})

    def forget(self, arn: str) -> None:
        with self._lock:
            self._by_arn.pop(arn, None)

    def of(self, arn: str) -> dict[str, str]:
        """A resource's tags; empty for one that is not here."""
        with self._lock:
            return dict(self._by_arn.get(arn, {}))

    def service(self) -> Service:
        return Service(
            name="sagemaker", handlers={"AddTags": self._add, "ListTags": self._list, "DeleteTags": self._delete}
        )

    def _known(self, arn: str) -> dict[str, str]:
        if arn not in self._by_arn:
            raise PassToMoto
        return self._by_arn[arn]

    def _add(self, params: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            known = self._known(params["ResourceArn"])
            known.update({tag["Key"]: tag["Value"] for tag in params["Tags"]})
            return {"Tags": _listed(known)}

    def _list(self, params: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            return {"Tags": _listed(self._known(params["ResourceArn"]))}

    def _delete(self, params: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            known = self._known(params["ResourceArn"])
            for key in params["TagKeys"]:
                known.pop(key, None)
        return {}


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]

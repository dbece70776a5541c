"""Lambda's operations on the tags of functions."""

from collections.abc import Callable
from dataclasses import dataclass

from localcloud.awslambda.configuration import Params
from localcloud.awslambda.functions import Functions


@dataclass(kw_only=True)
class FunctionTags:
    """TagResource, UntagResource and ListTags."""

    functions: Functions

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Operation → handler."""
        return {"TagResource": self.tag, "UntagResource": self.untag, "ListTags": self.list}

    def tag(self, params: Params) -> Params:
        with self.functions.locked({"FunctionName": params["Resource"]}) as (function, _):
            function.tags.update(params["Tags"])
        return {}

    def untag(self, params: Params) -> Params:
        with self.functions.locked({"FunctionName": params["Resource"]}) as (function, _):
            for key in params["TagKeys"]:
                function.tags.pop(key, None)
        return {}

    def list(self, params: Params) -> Params:
        with self.functions.locked({"FunctionName": params["Resource"]}) as (function, _):
            return {"Tags": dict(function.tags)}

"""Lambda's operations on the tags of functions."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from localcloud.awslambda.configuration import Params, check_tags
from localcloud.awslambda.functions import Functions, Handlers
from localcloud.awslambda.names import named
from localcloud.awslambda.records import Function
from localcloud.awslambda.refusals import NO_SUCH_RESOURCE, invalid, missing

# The other resources that Lambda tags; localcloud has none of them.
OTHERS = {"event-source-mapping": "Event source mapping", "capacity-provider": "Capacity provider"}


@dataclass(kw_only=True)
class FunctionTags:
    """TagResource, UntagResource and ListTags."""

    functions: Functions

    def handlers(self) -> Handlers:
        """Operation → handler."""
        return self.functions.reachable({"TagResource": self.tag, "UntagResource": self.untag, "ListTags": self.list})

    @contextmanager
    def _locked(self, params: Params) -> Iterator[Function]:
        """The function of a request's ARN. Raises ApiError for a version and an alias, which have no tags."""
        wanted = {"FunctionName": params["Resource"]}
        kind = params["Resource"].split(":")[5]
        if kind != "function":
            raise missing(f"{OTHERS[kind]} not found: {params['Resource']}" if kind in OTHERS else NO_SUCH_RESOURCE)
        if named(wanted, self.functions.cloud).qualifier:
            raise invalid("Tags on function aliases and versions are not supported. Please specify a function ARN.")
        with self.functions.locked(wanted) as (function, _):
            yield function

    def tag(self, params: Params) -> Params:
        with self._locked(params) as function:
            if not params["Tags"]:
                raise invalid("An error occurred and the request cannot be processed.")
            tags = function.tags | params["Tags"]
            check_tags(tags)
            function.tags = tags
        return {}

    def untag(self, params: Params) -> Params:
        with self._locked(params) as function:
            for key in params["TagKeys"]:
                function.tags.pop(key, None)
        return {}

    def list(self, params: Params) -> Params:
        with self._locked(params) as function:
            return {"Tags": dict(function.tags)}

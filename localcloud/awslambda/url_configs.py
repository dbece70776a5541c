"""Lambda's operations on the configuration of function URLs. urls.py serves the URLs themselves."""

from dataclasses import dataclass

from localcloud.awslambda.configuration import Params
from localcloud.awslambda.functions import Functions, Handlers
from localcloud.awslambda.listing import page
from localcloud.awslambda.names import Named
from localcloud.awslambda.records import Function
from localcloud.awslambda.refusals import NO_SUCH_FUNCTION, NO_SUCH_RESOURCE, conflict, missing
from localcloud.errors import ApiError

CHANGEABLE = ("AuthType", "Cors", "InvokeMode")


@dataclass(kw_only=True)
class UrlConfigs:
    """The operations on FunctionUrlConfigs.

    Lambda returns InvokeMode from Create and Update only where a request has set it, from Get and List always.
    """

    functions: Functions

    def handlers(self) -> Handlers:
        """Operation → handler."""
        return self.functions.reachable({
            "CreateFunctionUrlConfig": self.create,
            "UpdateFunctionUrlConfig": self.update,
            "GetFunctionUrlConfig": self.get,
            "ListFunctionUrlConfigs": self.list,
            "DeleteFunctionUrlConfig": self.delete,
        })  # fmt: skip

    def create(self, params: Params) -> Params:
        """CreateFunctionUrlConfig. The URL is a path of localcloud's own port."""
        cloud = self.functions.cloud
        with self.functions.locked(params, _no_function) as (function, qualifier):
            _check_alias(function, qualifier)
            arn, suffix = function.arn, f":{qualifier}" if qualifier else ""
            if (qualifier or "") in function.urls:
                raise conflict(
                    f"Failed to create function url config for [functionArn = {arn}{suffix}]. Error message:  "
                    "FunctionUrlConfig exists for this Lambda function"
                )
            now = cloud.now().isoformat()
            config = {
                "FunctionUrl": f"{cloud.endpoint_url}/_localcloud/function-url/{function.name}{suffix}/",
                "FunctionArn": arn + suffix,
                "CreationTime": now,
                "LastModifiedTime": now,
            } | {key: params[key] for key in CHANGEABLE if key in params}
            function.urls[qualifier or ""] = config
            return {key: value for key, value in config.items() if key != "LastModifiedTime"}

    def update(self, params: Params) -> Params:
        with self.functions.locked(params, _no_function) as (function, qualifier):
            _check_alias(function, qualifier)
            config = _config(function, qualifier)
            config |= {key: params[key] for key in CHANGEABLE if key in params}
            config["LastModifiedTime"] = self.functions.cloud.now().isoformat()
            return dict(config)

    def get(self, params: Params) -> Params:
        with self.functions.locked(params, _no_config) as (function, qualifier):
            return _shown(_config(function, qualifier))

    def list(self, params: Params) -> Params:
        with self.functions.locked(params, _no_function) as (function, _):
            return page([_shown(config) for config in function.urls.values()], params, "FunctionUrlConfigs")

    def delete(self, params: Params) -> Params:
        with self.functions.locked(params, _no_config) as (function, qualifier):
            _config(function, qualifier)
            del function.urls[qualifier or ""]
        return {}


def _no_function(_: Named) -> ApiError:
    return missing(NO_SUCH_FUNCTION)


def _no_config(_: Named) -> ApiError:
    return missing(NO_SUCH_RESOURCE)


def _check_alias(function: Function, qualifier: str | None) -> None:
    if qualifier and qualifier not in function.aliases:
        raise missing(NO_SUCH_FUNCTION)


def _config(function: Function, qualifier: str | None) -> Params:
    if (qualifier or "") not in function.urls:
        raise missing(NO_SUCH_RESOURCE)
    return function.urls[qualifier or ""]


def _shown(config: Params) -> Params:
    return {"InvokeMode": "BUFFERED", **config}

"""Lambda's operations on the configuration of function URLs. urls.py serves the URLs themselves."""

from collections.abc import Callable
from dataclasses import dataclass

from localcloud.awslambda.configuration import NO_SUCH_RESOURCE, Params, conflict, missing
from localcloud.awslambda.functions import Function, Functions, page


@dataclass(kw_only=True)
class UrlConfigs:
    """The operations on FunctionUrlConfigs."""

    functions: Functions

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Operation → handler."""
        return {
            "CreateFunctionUrlConfig": self.create,
            "UpdateFunctionUrlConfig": self.update,
            "GetFunctionUrlConfig": self.get,
            "ListFunctionUrlConfigs": self.list,
            "DeleteFunctionUrlConfig": self.delete,
        }

    def create(self, params: Params) -> Params:
        """CreateFunctionUrlConfig. The URL is a path of localcloud's own port."""
        cloud = self.functions.cloud
        with self.functions.locked(params) as (function, qualifier):
            function.at(qualifier)
            if (qualifier or "") in function.urls:
                raise conflict(f"FunctionUrlConfig exists for this Lambda function: {function.arn}")
            now, suffix = cloud.now().isoformat(), f":{qualifier}" if qualifier else ""
            config = {
                "FunctionUrl": f"{cloud.endpoint_url}/_localcloud/function-url/{function.name}{suffix}/",
                "FunctionArn": function.arn + suffix,
                "AuthType": params["AuthType"],
                "InvokeMode": params.get("InvokeMode", "BUFFERED"),
                "CreationTime": now,
                "LastModifiedTime": now,
            } | ({"Cors": params["Cors"]} if "Cors" in params else {})
            function.urls[qualifier or ""] = config
            return {key: value for key, value in config.items() if key != "LastModifiedTime"}

    def update(self, params: Params) -> Params:
        with self.functions.locked(params) as (function, qualifier):
            config = _config(function, qualifier)
            config |= {key: params[key] for key in ("AuthType", "Cors", "InvokeMode") if key in params}
            config["LastModifiedTime"] = self.functions.cloud.now().isoformat()
            return dict(config)

    def get(self, params: Params) -> Params:
        with self.functions.locked(params) as (function, qualifier):
            return dict(_config(function, qualifier))

    def list(self, params: Params) -> Params:
        with self.functions.locked(params) as (function, _):
            return page([dict(config) for config in function.urls.values()], params, "FunctionUrlConfigs")

    def delete(self, params: Params) -> Params:
        with self.functions.locked(params) as (function, qualifier):
            _config(function, qualifier)
            del function.urls[qualifier or ""]
        return {}


def _config(function: Function, qualifier: str | None) -> Params:
    if (qualifier or "") not in function.urls:
        raise missing(NO_SUCH_RESOURCE)
    return function.urls[qualifier or ""]

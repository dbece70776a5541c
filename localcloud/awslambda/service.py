"""Lambda for the server: puts together the operations on functions, their settings, invocations and URLs."""

from collections.abc import Callable

from localcloud.awslambda.aliases import Aliases
from localcloud.awslambda.concurrency import Concurrency
from localcloud.awslambda.emulator import Sandboxes
from localcloud.awslambda.environments import ACCOUNT_LIMIT
from localcloud.awslambda.functions import Functions, Handlers
from localcloud.awslambda.invoke import Invoker
from localcloud.awslambda.permissions import Permissions
from localcloud.awslambda.tags import FunctionTags
from localcloud.awslambda.url_configs import UrlConfigs
from localcloud.awslambda.urls import FunctionUrls
from localcloud.cloud import Cloud
from localcloud.gateway.service import Service
from localcloud.threads import Threads

REAP_SECONDS = 30.0


def _reap(functions: Functions, pause: Callable[[float], bool]) -> None:
    while not pause(REAP_SECONDS):
        for function in functions.all():
            for release in function.releases():
                release.pool.reap()


def settings_handlers(functions: Functions) -> Handlers:
    """The operations on a function's permissions, URL configurations, tags, concurrency and aliases."""
    quota = functions.cloud.quotas.named("lambda", "Concurrent executions")
    concurrency = Concurrency(functions=functions, limit=int(quota.value) if quota else ACCOUNT_LIMIT)
    return {
        **Permissions(functions=functions).handlers(),
        **UrlConfigs(functions=functions).handlers(),
        **FunctionTags(functions=functions).handlers(),
        **concurrency.handlers(),
        **Aliases(functions=functions, concurrency=concurrency).handlers(),
    }


def service(cloud: Cloud) -> Service:
    """Lambda. Starts the thread that ends idle environments, and publishes metrics."""
    threads = Threads()
    functions = Functions(cloud=cloud, sandboxes=Sandboxes(cloud=cloud), spawn=threads.spawn)
    invoker = Invoker(functions=functions, pause=threads.closing.wait)
    cloud.metrics.add_source(lambda: invoker.metrics.collect(functions.all()))
    threads.spawn(_reap, functions, threads.closing.wait)
    handlers = functions.handlers() | settings_handlers(functions) | invoker.handlers()
    web = {"function-url": FunctionUrls(invoker=invoker).serve}
    return Service(name="lambda", handlers=handlers, web=web, close=threads.close)

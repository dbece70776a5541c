"""Lambda as the server takes it: functions, what hangs on them, invoking them, their URLs."""

from collections.abc import Callable

from localcloud.awslambda.aliases import Aliases
from localcloud.awslambda.concurrency import Provisioning
from localcloud.awslambda.configuration import Params
from localcloud.awslambda.emulator import Sandboxes
from localcloud.awslambda.environments import ACCOUNT_LIMIT
from localcloud.awslambda.functions import Functions
from localcloud.awslambda.invoke import Invoker
from localcloud.awslambda.permissions import Settings
from localcloud.awslambda.urls import FunctionUrls
from localcloud.cloud import Cloud
from localcloud.gateway.service import Service
from localcloud.threads import Threads

REAP_EVERY = 30.0


def _reap(functions: Functions, pause: Callable[[float], bool]) -> None:
    while not pause(REAP_EVERY):
        for function in list(functions.functions.values()):
            for release in function.releases():
                release.pool.reap()


def all_settings(functions: Functions) -> dict[str, Callable[[Params], Params]]:
    """What hangs on a function's name: the operations of all of it."""
    quota = functions.cloud.quotas.named("lambda", "Concurrent executions")
    provisioning = Provisioning(functions=functions, limit=int(quota.value) if quota else ACCOUNT_LIMIT)
    aliases = Aliases(functions=functions, provisioning=provisioning)
    return Settings(functions=functions).handlers() | provisioning.handlers() | aliases.handlers()


def service(cloud: Cloud) -> Service:
    """Return the room."""
    threads = Threads()
    functions = Functions(cloud=cloud, sandboxes=Sandboxes(cloud=cloud), spawn=threads.spawn)
    invoker = Invoker(functions=functions, pause=threads.closing.wait)
    cloud.metrics.add_source(lambda: invoker.metrics.collect(list(functions.functions.values())))
    threads.spawn(_reap, functions, threads.closing.wait)
    handlers = functions.handlers() | all_settings(functions) | invoker.handlers()
    web = {"function-url": FunctionUrls(invoker=invoker).serve}
    return Service(name="lambda", handlers=handlers, web=web, close=threads.close)

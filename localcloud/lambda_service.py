"""Lambda as the server takes it: functions, what hangs on them, invoking them, their URLs."""

from collections.abc import Callable

from localcloud.cloud import Cloud
from localcloud.concurrency import ACCOUNT_LIMIT
from localcloud.function_aliases import Aliases
from localcloud.function_concurrency import Provisioning
from localcloud.function_configs import Params
from localcloud.function_invoke import Invoker
from localcloud.function_settings import Settings
from localcloud.function_url import FunctionUrls
from localcloud.functions import Functions
from localcloud.rie import Sandboxes
from localcloud.service import Service
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
    cloud.metrics.ask(lambda: invoker.metrics.collect(list(functions.functions.values())))
    threads.spawn(_reap, functions, threads.closing.wait)
    handlers = functions.handlers() | all_settings(functions) | invoker.handlers()
    web = {"function-url": FunctionUrls(invoker=invoker).serve}
    return Service(name="lambda", handlers=handlers, web=web, close=threads.close)

"""Lambda as the server takes it: functions, what hangs on them, invoking them, their URLs."""

from collections.abc import Callable

from localcloud.cloud import Cloud
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


def service(cloud: Cloud) -> Service:
    """Return the room."""
    threads = Threads()
    functions = Functions(cloud=cloud, sandboxes=Sandboxes(cloud=cloud), spawn=threads.spawn)
    invoker = Invoker(functions=functions, pause=threads.closing.wait)
    threads.spawn(_reap, functions, threads.closing.wait)
    handlers = functions.handlers() | Settings(functions=functions).handlers() | invoker.handlers()
    web = {"function-url": FunctionUrls(invoker=invoker).serve}
    return Service(name="lambda", handlers=handlers, web=web, close=threads.close)

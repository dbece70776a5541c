"""Background threads of a service, which it waits for when localcloud stops."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Threads:
    """The background threads of one service. A thread that waits must wait on `closing`, which `close` sets."""

    closing: threading.Event = field(default_factory=threading.Event)
    running: list[threading.Thread] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def spawn(self, work: Callable[..., None], *arguments: Any) -> None:
        """Run `work` in a new thread."""
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        with self.lock:
            self.running = [other for other in self.running if other.is_alive()] + [thread]
        thread.start()

    def close(self) -> None:
        """Set `closing`, then wait up to 10 s for each thread."""
        self.closing.set()
        for thread in list(self.running):
            thread.join(timeout=10)

"""Work that goes on after an answer was sent, waited for at the end."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Threads:
    """Threads of one room. `closing` is set when localcloud is taken down: whatever waits, waits on it."""

    closing: threading.Event = field(default_factory=threading.Event)
    running: list[threading.Thread] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def spawn(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do work in a thread of its own."""
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        with self.lock:
            self.running = [other for other in self.running if other.is_alive()] + [thread]
        thread.start()

    def close(self) -> None:
        """End every wait, and give what runs 10 s to notice."""
        self.closing.set()
        for thread in list(self.running):
            thread.join(timeout=10)

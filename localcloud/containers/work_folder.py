"""A folder that containers wrote to as root: readable and removable for this process, whoever it runs as."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from localcloud.containers.engine import ContainerSpec, Engine, EngineError, Mount


@dataclass(frozen=True, kw_only=True)
class WorkFolder:
    """`image` is any image that has chmod, `name` the name of the container that runs it."""

    engine: Engine
    path: Path
    image: str
    name: str

    def clear(self) -> None:
        """Removes the folder, with what the containers' root wrote there."""
        shutil.rmtree(self.path, ignore_errors=True)
        if not self.path.exists():
            return
        try:
            self.make_accessible()
        except EngineError:
            return  # the next start tries again, and says what it could not remove
        shutil.rmtree(self.path, ignore_errors=True)

    def make_accessible(self) -> None:
        """Lets this process read and delete what the containers' root wrote. Raises EngineError."""
        mount = Mount(source=str(self.path), target="/folder")
        command = ("-R", "a+rwX", "/folder")
        spec = ContainerSpec(
            image=self.image, name=self.name, user="0", entrypoint=("chmod",), command=command, mounts=(mount,)
        )
        container = self.engine.run(spec).id
        self.engine.wait(container, 60)
        self.engine.remove(container)

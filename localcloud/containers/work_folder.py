"""A folder that containers write to as root, made readable and removable for this process, which may not be root."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from localcloud.containers.engine import ContainerSpec, Engine, EngineError, Mount


@dataclass(frozen=True, kw_only=True)
class WorkFolder:
    """`image` is any image that has chmod; `name` is the name of the container that runs chmod."""

    engine: Engine
    path: Path
    image: str
    name: str

    def clear(self) -> None:
        """Removes the folder with all that containers wrote there as root. Leaves what it cannot remove."""
        shutil.rmtree(self.path, ignore_errors=True)
        if not self.path.exists():
            return
        try:
            self.make_accessible()
        except EngineError:
            return  # StateDir.clear_work tries again at the next start, and reports what it cannot remove
        shutil.rmtree(self.path, ignore_errors=True)

    def make_accessible(self) -> None:
        """Lets this process read and delete what containers wrote as root. Raises EngineError."""
        mount = Mount(source=str(self.path), target="/folder")
        command = ("-R", "a+rwX", "/folder")
        spec = ContainerSpec(
            image=self.image, name=self.name, user="0", entrypoint=("chmod",), command=command, mounts=(mount,)
        )
        container = self.engine.run(spec).id
        self.engine.wait(container, 60)
        self.engine.remove(container)

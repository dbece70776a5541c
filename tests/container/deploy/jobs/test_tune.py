"""A search on SageMaker and on this machine, with a tiny trainer; its best model becomes training `tuned`."""

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import docker
from deploy.aws.client import Clock
from deploy.commands import data
from deploy.commands.train import LocalPaths
from deploy.commands.tune import tune
from deploy.config.settings import choose, parse
from deploy.config.training import Tuning
from deploy.console import Screen
from deploy.jobs.latest import latest_job
from deploy.jobs.tuning import Search
from deploy.session import Session
from localcloud import daemon
from tests.clients import connect
from tests.container.localcloud.sagemaker.hosting_support import build

pytestmark = pytest.mark.timeout(180)
TOML = Path(__file__).parents[4] / "deploy.toml"
DOCKERFILE = 'FROM {base}\nCOPY train.py /train.py\nENTRYPOINT ["python3", "-u", "/train.py"]\n'
TRAINER = """
import json, sys
given = json.load(open("/opt/ml/input/config/hyperparameters.json"))
rate = float(given["learning_rate"])
if given["optimizer"] == "adamw":
    open("/opt/ml/output/failure", "w").write("adamw is not for me")
    sys.exit(1)
for epoch in (1, 2):
    print("kennel epoch=%d valid_top1=%.5f" % (epoch, epoch / 2 - abs(rate - 0.1)))
json.dump(given, open("/opt/ml/model/model.json", "w"))
"""
RATES = (0.01, 0.1, 0.5)


@dataclass(kw_only=True)
class Bench:
    """A stage with pictures in its bucket, and the output of its screen."""

    url: str
    image: str
    root: Path
    output: io.StringIO = field(default_factory=io.StringIO)

    def session(self, **tuning: object) -> Session:
        settings = choose(parse(TOML.read_text().replace("http://127.0.0.1:4566", self.url)), "local")
        grid = {"strategy": "Grid", "max_parallel": 2, "ranges": {"learning_rate": {"values": list(RATES)}}}
        training = settings.training.model_copy(update={"instance_count": 1, "hyperparameters": {"optimizer": "sgd"}})
        changed = {"training": training, "tuning": Tuning.model_validate(grid | tuning)}
        settings = settings.model_copy(update=changed)
        return Session(
            settings=settings, call=connect(settings), build=lambda _: self.image, screen=Screen(out=self.output),
            clock=Clock(sleep=lambda seconds: time.sleep(min(seconds, 0.3))),
        )  # fmt: skip

    def tune(self, session: Session, **options: object) -> Search:
        local = LocalPaths(runs=self.root / "runs", sources={"training": self.root / "pictures"})
        return tune(session, "pictures", local=local, studies=self.root / "tuning", **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("tune")
    for label in ("a", "b"):
        (root / "pictures" / "train" / label).mkdir(parents=True)
        (root / "pictures" / "train" / label / "1.jpg").write_bytes(label.encode())
    client = docker.from_env()
    image = build(client, "kennel-test/tuned:tiny", DOCKERFILE, **{"train.py": TRAINER})
    status = daemon.start_background(port=0, state_dir=root / "localcloud")
    made = Bench(url=status.endpoint_url, image=image, root=root)
    data.push(made.session(), root / "pictures", "pictures")
    yield made
    daemon.stop(root / "localcloud")
    client.images.remove(image, force=True)
    client.close()


@pytest.mark.parametrize("on", ["sagemaker", "local"])
def test_a_search_finds_the_best_values_once_and_its_model_is_the_newest_of_tuned(bench: Bench, on: str) -> None:
    session = bench.session()
    search = bench.tune(session, on=on)
    assert [float(each.values["learning_rate"]) for each in search.trials] == [0.1, 0.01, 0.5]
    assert [round(each.objective or 0, 5) for each in search.trials] == [1.0, 0.91, 0.6]
    assert all(each.status == "Completed" and each.seconds > 0 for each in search.trials)
    served = latest_job(session.settings, session.call, training="tuned")
    assert served is not None
    assert float(served.hyperparameters["learning_rate"]) == 0.1
    assert search.trials[0].job in served.artifact
    again = bench.tune(session, on=on)
    assert again == search


@pytest.mark.parametrize("on", ["sagemaker", "local"])
def test_failed_trials_give_their_reason_and_the_best_of_the_others_wins(bench: Bench, on: str) -> None:
    ranges = {"optimizer": {"values": ["adamw", "sgd"]}, "learning_rate": {"values": [0.2]}}
    search = bench.tune(bench.session(ranges=ranges), on=on)
    assert [(each.values["optimizer"], each.status) for each in search.trials] == [
        ("sgd", "Completed"), ("adamw", "Failed"),
    ]  # fmt: skip
    assert "adamw is not for me" in search.trials[1].reason

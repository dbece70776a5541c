from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from train.host import environment
from train.host.environment import Machine, SetupError, from_command_line, from_sagemaker

MACHINE = Machine(gpus=4, cpus=16, memory=64 << 30, free_port=41234, interfaces=("lo", "eth0"))
RESOURCES = {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"], "network_interface_name": "eth0"}
CHANNEL = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}


def read(resources: dict[str, Any], **channels: Any) -> environment.Environment:
    files = {environment.RESOURCES: resources, environment.CHANNELS: channels, environment.HYPERPARAMETERS: {}}
    return from_sagemaker(files, {"TRAINING_JOB_NAME": "job-1"}, MACHINE)


def test_two_hosts_are_ranked_by_their_place_in_the_list_and_the_first_is_master() -> None:
    place = read(RESOURCES, training=CHANNEL)
    assert (place.node_rank, place.nnodes, place.master_addr, place.master_port) == (1, 2, "algo-1", 29500)
    assert (place.job_name, place.network_interface, place.is_sagemaker) == ("job-1", "eth0", True)
    assert (place.gpus, place.cpus, place.memory) == (4, 16, 64 << 30)


def test_host_names_need_no_pattern() -> None:
    place = read({"current_host": "zeta", "hosts": ["alpha", "zeta"]})
    assert (place.node_rank, place.master_addr) == (1, "alpha")


def test_one_host_meets_itself_on_a_free_port_of_the_loopback() -> None:
    place = read({"current_host": "algo-1", "hosts": ["algo-1"]})
    assert (place.master_addr, place.master_port) == ("127.0.0.1", 41234)


def test_without_resourceconfig_there_is_one_host() -> None:
    place = from_sagemaker({}, {}, MACHINE)
    assert (place.hosts, place.node_rank) == (("localhost",), 0)


def test_channels_and_outputs_have_sagemakers_paths() -> None:
    place = read(RESOURCES, training=CHANNEL, weights=CHANNEL)
    assert place.channels == {
        "training": Path("/opt/ml/input/data/training"),
        "weights": Path("/opt/ml/input/data/weights"),
    }
    assert list(place.data_channels) == ["training"]
    assert place.model_dir == Path("/opt/ml/model")
    assert place.output_data_dir == Path("/opt/ml/output/data")
    assert place.checkpoint_dir == Path("/opt/ml/checkpoints")
    assert place.failure_file == Path("/opt/ml/output/failure")


def test_an_interface_that_the_host_lacks_is_not_used() -> None:
    assert read({**RESOURCES, "network_interface_name": "ethwe"}).network_interface == ""


def test_heterogeneous_clusters_and_newer_keys_are_accepted() -> None:
    more = {"current_instance_type": "ml.p4d.24xlarge", "current_group_name": "g", "instance_groups": [], "new": 1}
    assert read({**RESOURCES, **more}).instance_type == "ml.p4d.24xlarge"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({environment.RESOURCES: {**RESOURCES, "current_host": "algo-9"}}, "'algo-9' is not among hosts"),
        ({environment.RESOURCES: {"current_host": "a", "hosts": ["a", "a"]}}, "name one host twice"),
        ({environment.RESOURCES: []}, ""),
        ({environment.RESOURCES: ["algo-1"]}, "must hold an object, not list"),
        ({environment.CHANNELS: {"training": {"TrainingInputMode": "Pipe"}}}, "use TrainingInputMode File or FastFile"),
    ],
)
def test_a_broken_environment_is_refused(files: dict[str, Any], message: str) -> None:
    if not message:
        assert from_sagemaker(files, {}, MACHINE).nnodes == 1
        return
    with pytest.raises(SetupError) as caught:
        from_sagemaker(files, {}, MACHINE)
    assert message in str(caught.value)


def test_by_hand_everything_is_written_below_the_output() -> None:
    place = from_command_line(Path("/data"), Path("/out"), MACHINE)
    assert place.data_channels == {"training": Path("/data")}
    assert (place.model_dir, place.checkpoint_dir) == (Path("/out/model"), Path("/out/checkpoints"))
    assert not place.is_sagemaker


def test_an_environment_survives_json() -> None:
    place = read(RESOURCES, training=CHANNEL)
    assert environment.from_dict(environment.to_dict(place)) == place

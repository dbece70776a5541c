"""The commands of an instance's container: docker as the host's engine must be asked, shutdown's times."""

import pytest

from localcloud.ec2.machine import docker, shutdown


def rewritten(line: str) -> docker.Run:
    return docker.rewrite(line.split(), shared="/host/i-1", labels=["owner=i-1"])


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("-d -v /srv/a:/b:ro image train", "-d -v /host/i-1/a:/b:ro image train"),
        ("--volume=/srv:/b image", "--volume /host/i-1:/b image"),
        ("-v named:/b image", "-v named:/b image"),
        ("--mount type=bind,src=/srv/a,dst=/b image", "--mount type=bind,src=/host/i-1/a,dst=/b image"),
        ("--mount type=volume,src=named,dst=/b image", "--mount type=volume,src=named,dst=/b image"),
        ("--log-driver json-file --log-opt max-size=1m image", "--log-driver json-file --log-opt max-size=1m image"),
    ],
)
def test_a_mount_is_named_as_the_host_has_it_and_the_container_is_marked(line: str, made: str) -> None:
    assert rewritten(line).words == ["--label", "owner=i-1", *made.split()]


def test_the_awslogs_driver_is_taken_from_the_engine_and_given_to_localcloud() -> None:
    run = rewritten("-d --log-driver=awslogs --log-opt awslogs-group=/k/g --log-opt awslogs-stream=j/algo-1 image")
    assert run.words == ["--label", "owner=i-1", "-d", "image"]
    assert run.awslogs == {"group": "/k/g", "stream": "j/algo-1"}


def test_a_mount_that_the_engine_could_not_see_is_refused_with_what_can() -> None:
    with pytest.raises(docker.MountError, match="share /srv with containers, not /home/x"):
        rewritten("-v /home/x:/y image")


@pytest.mark.parametrize(("line", "after"), [("-P now", 0.0), ("-P +5", 300.0), ("+1", 60.0), ("-c", None)])
def test_shutdown_goes_down_when_it_was_told(line: str, after: float | None) -> None:
    assert shutdown.seconds(line.split()) == after

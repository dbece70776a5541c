"""The commands of an instance's container: how `docker run` is rewritten, and the times of `shutdown`."""

import pytest

from localcloud.ec2.machine import docker, shutdown


def rewrite(line: str) -> docker.Run:
    return docker.rewrite(line.split(), shared="/host/i-1", labels=["owner=i-1"])


@pytest.mark.parametrize(
    ("line", "rewritten"),
    [
        ("-d -v /srv/a:/b:ro image train", "-d -v /host/i-1/a:/b:ro image train"),
        ("--volume=/srv:/b image", "--volume /host/i-1:/b image"),
        ("-v named:/b image", "-v named:/b image"),
        ("--mount type=bind,src=/srv/a,dst=/b image", "--mount type=bind,src=/host/i-1/a,dst=/b image"),
        ("--mount type=volume,src=named,dst=/b image", "--mount type=volume,src=named,dst=/b image"),
        ("--log-driver json-file --log-opt max-size=1m image", "--log-driver json-file --log-opt max-size=1m image"),
    ],
)
def test_a_mount_gets_the_hosts_path_and_the_container_gets_a_label(line: str, rewritten: str) -> None:
    assert rewrite(line).words == ["--label", "owner=i-1", *rewritten.split()]


def test_localcloud_gets_the_awslogs_options_instead_of_the_engine() -> None:
    run = rewrite("-d --log-driver=awslogs --log-opt awslogs-group=/k/g --log-opt awslogs-stream=j/algo-1 image")
    assert run.words == ["--label", "owner=i-1", "-d", "image"]
    assert run.awslogs == {"group": "/k/g", "stream": "j/algo-1"}


def test_a_mount_that_the_engine_does_not_see_is_refused() -> None:
    with pytest.raises(docker.MountError, match="share /srv with containers, not /home/x"):
        rewrite("-v /home/x:/y image")


@pytest.mark.parametrize(("line", "after"), [("-P now", 0.0), ("-P +5", 300.0), ("+1", 60.0), ("-c", None)])
def test_shutdown_reads_its_time(line: str, after: float | None) -> None:
    assert shutdown.seconds(line.split()) == after

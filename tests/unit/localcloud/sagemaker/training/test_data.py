"""How hosts share a channel's objects."""

from localcloud.s3 import S3Object
from localcloud.sagemaker.training.data import assign
from localcloud.sagemaker.training.request import parse
from tests.unit.localcloud.fakes import channel, training_request


def test_shards_share_the_keys_and_replicas_hold_them_all() -> None:
    objects = [S3Object(key=f"in/{n}", size=1, etag="") for n in range(5)]
    sharded = parse(training_request(InputDataConfig=[channel(S3DataDistributionType="ShardedByS3Key")])).channels[0]
    parts = [assign(sharded, objects, host, 2) for host in range(2)]
    assert not set(parts[0]) & set(parts[1])
    assert set(parts[0]) | set(parts[1]) == {entry.key for entry in objects}
    whole = parse(training_request(InputDataConfig=[channel()])).channels[0]
    assert assign(whole, objects, 1, 2) == {f"in/{n}": str(n) for n in range(5)}

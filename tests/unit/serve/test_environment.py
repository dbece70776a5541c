"""Settings come from the environment; an invalid variable is named with the allowed values."""

from pathlib import Path

import pytest

from serve.environment import Settings, SettingsError, from_environ


def test_nothing_set_gives_the_platform_defaults() -> None:
    settings = from_environ({}, cpus=3)
    assert (settings.port, settings.model_dir, settings.cpus) == (8080, Path("/opt/ml/model"), 3)
    assert (settings.max_body_bytes, settings.top_k, settings.drain_timeout) == (6_291_456, 5, 25)


def test_the_platform_may_bind_another_port() -> None:
    assert from_environ({"SAGEMAKER_BIND_TO_PORT": "8888"}, cpus=1).port == 8888


@pytest.mark.parametrize(("megabytes", "size"), [("20", 20 << 20), ("", 6 << 20), ("0", 100 << 20)])
def test_a_transform_job_sets_the_payload(megabytes: str, size: int) -> None:
    environ = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": megabytes}
    assert from_environ(environ, cpus=1).max_body_bytes == size


@pytest.mark.parametrize(
    ("variables", "callers"),
    [
        ({}, 12),
        ({"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3"}, 3),
        ({"SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "0"}, 12),
        ({"KENNEL_MAX_BATCH": "16"}, 36),
        ({"KENNEL_MAX_REQUESTS": "5"}, 5),
    ],
)
def test_a_transform_job_gets_enough_concurrency_to_fill_the_next_batch_but_no_more_than_are_admitted(
    variables: dict[str, str], callers: int
) -> None:
    assert from_environ(variables, cpus=2, memory=None).transform_concurrency == callers


def test_outside_a_transform_job_its_payload_is_ignored() -> None:
    assert from_environ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "20"}, cpus=1).max_body_bytes == 6_291_456


def test_little_memory_means_smaller_pictures() -> None:
    assert from_environ({}, cpus=2, memory=1 << 40).max_pixels == Settings.max_pixels
    assert from_environ({}, cpus=2, memory=2 << 30).max_pixels == (1 << 30) // 48
    assert from_environ({}, cpus=2, memory=1 << 28).max_pixels == 16_000_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "0"),
        ("SAGEMAKER_BIND_TO_PORT", "eighty"),
        ("KENNEL_TOP_K", "-1"),
        ("KENNEL_MAX_BODY_BYTES", "1e6"),
        ("KENNEL_THREADS", "²"),
        ("KENNEL_LOG_LEVEL", "loud"),
        ("KENNEL_MAX_WAIT", "0"),
        ("KENNEL_MAX_WAIT", "soon"),
        ("KENNEL_ENGINE", "tensorrt-fp16"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        from_environ({name: value}, cpus=1)


def test_an_unknown_variable_of_ours_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(SettingsError, match=r"KENNEL_TOPK.*KENNEL_TOP_K"):
        from_environ({"KENNEL_TOPK": "3"}, cpus=1)


def test_a_request_may_wait_for_less_than_half_a_second_and_in_a_transform_job_for_as_long_as_its_answer() -> None:
    assert from_environ({}, cpus=1).max_wait < 0.5
    job = from_environ({"SAGEMAKER_BATCH": "true"}, cpus=1)
    assert job.max_wait == job.answer_timeout
    assert from_environ({"SAGEMAKER_BATCH": "true", "KENNEL_MAX_WAIT": "2.5"}, cpus=1).max_wait == 2.5

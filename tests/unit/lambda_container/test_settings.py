"""The addresses of the services, and the errors for an invalid environment."""

from __future__ import annotations

import pytest

from lambda_container.objects import download
from lambda_container.settings import ServiceAddress, SettingsError, read_credentials, read_settings

PLAIN = {"KENNEL_ENDPOINT_NAME": "dogs", "AWS_REGION": "us-east-1"}


@pytest.mark.parametrize(
    ("region", "runtime", "storage"),
    [
        ("us-east-1", "runtime.sagemaker.us-east-1.amazonaws.com", "s3.us-east-1.amazonaws.com"),
        ("cn-north-1", "runtime.sagemaker.cn-north-1.amazonaws.com.cn", "s3.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "runtime.sagemaker.us-gov-west-1.amazonaws.com", "s3.us-gov-west-1.amazonaws.com"),
    ],
)
def test_services_are_at_their_regional_names_by_default(region: str, runtime: str, storage: str) -> None:
    settings = read_settings({**PLAIN, "AWS_REGION": region})
    assert settings.runtime == ServiceAddress("https", runtime, 443)
    assert settings.storage == ServiceAddress("https", storage, 443)


def test_an_endpoint_url_moves_all_services_and_one_of_its_own_moves_one() -> None:
    both = {**PLAIN, "AWS_ENDPOINT_URL": "http://172.17.0.1:4566/"}
    assert read_settings(both).runtime == read_settings(both).storage
    assert read_settings(both).runtime == ServiceAddress("http", "172.17.0.1", 4566, custom=True)
    one = read_settings({**both, "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": "https://runtime.test/base"})
    assert one.runtime == ServiceAddress("https", "runtime.test", 443, "/base", custom=True)
    assert one.storage.host == "172.17.0.1"
    assert read_settings({**both, "AWS_ENDPOINT_URL_S3": "http://s3.test"}).storage.port == 80


def test_nothing_private_and_no_http_is_allowed_by_default() -> None:
    assert read_settings(PLAIN).policy == (False, frozenset())
    assert read_settings({**PLAIN, "KENNEL_ALLOW_HTTP": "0"}).policy.allow_http is False
    allowed = read_settings(
        {**PLAIN, "KENNEL_ALLOW_HTTP": "1", "KENNEL_ALLOW_HOSTS": "Host.test.:80, 172.17.0.1:9000,"}
    )
    assert allowed.policy == (True, frozenset({("host.test", 80), ("172.17.0.1", 9000)}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KENNEL_ENDPOINT_NAME", ""),
        ("KENNEL_ENDPOINT_NAME", "../x"),
        ("KENNEL_ENDPOINT_NAME", "a" * 64),
        ("KENNEL_ENDPOINT_NAME", "dogs-"),
        ("AWS_REGION", ""),
        ("AWS_REGION", "evil.test/"),
        ("AWS_ENDPOINT_URL", "172.17.0.1:4566"),
        ("AWS_ENDPOINT_URL", "ftp://x"),
        ("AWS_ENDPOINT_URL", "http://host:port"),
        ("KENNEL_ALLOW_HOSTS", "example.com"),
        ("KENNEL_ALLOW_HOSTS", ":80"),
        ("KENNEL_MAX_BYTES", "5MB"),
        ("KENNEL_MAX_BYTES", "0"),
        ("KENNEL_MAX_BYTES", "6291457"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({**PLAIN, name: value})


def test_credentials_are_lambdas_and_a_missing_one_is_named() -> None:
    credentials = read_credentials({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"})
    assert credentials == ("a", "b", "c")
    with pytest.raises(SettingsError, match="AWS_SECRET_ACCESS_KEY"):
        read_credentials({"AWS_ACCESS_KEY_ID": "a"})


def test_a_bucket_is_in_the_host_name_on_aws_and_in_the_path_elsewhere() -> None:
    aws = read_settings(PLAIN).storage
    address, request = download("dogs", "a/b c+ü.jpg", aws)
    assert (address.host, request.path) == ("dogs.s3.us-east-1.amazonaws.com", "/a/b%20c%2B%C3%BC.jpg")
    assert request.headers["Host"] == "dogs.s3.us-east-1.amazonaws.com"
    address, request = download("my.dogs", "k", aws)
    assert (address.host, request.path) == ("s3.us-east-1.amazonaws.com", "/my.dogs/k")
    custom = read_settings({**PLAIN, "AWS_ENDPOINT_URL": "http://172.17.0.1:4566"}).storage
    address, request = download("dogs", "/k", custom)
    assert (address.host, request.path) == ("172.17.0.1", "/dogs//k")
    assert request.headers["Host"] == "172.17.0.1:4566"

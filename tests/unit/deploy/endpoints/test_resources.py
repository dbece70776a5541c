"""Endpoints of every kind as requests; what cannot work is refused, with the fix."""

from __future__ import annotations

import io

import pytest

from deploy.commands.plan import plan
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.endpoints.checks import check
from deploy.endpoints.endpoint import remove
from deploy.endpoints.model import Model
from deploy.endpoints.spec import endpoint_specs
from deploy.errors import DeployError, SettingsError
from deploy.images.facts import ImageFacts, look, parse
from deploy.session import Session
from deploy.values import Request
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.endpoints.fixtures import config_of, requests, resources, settings_of, spec_of
from tests.unit.deploy.fakes import FakeAws

CUDA = ImageFacts(cuda="12.8", size_bytes=9 * 10**9)
TWO = """
[endpoint.variants.single]
weight = 3
[endpoint.variants.multi]
training = "multi"
instance_type = "ml.c5.xlarge"
instance_count = 2
"""
TABLES = {
    "real-time": ("", "kennel-local", (29, 39)),
    "observed": ("[endpoint]\ndetailed_observability = true", "kennel-local", (29, 39)),
    "variants": (TWO, "kennel-local", (29, 39)),
    "gpu": ('[endpoint]\ninstance_type = "ml.g5.xlarge"', "kennel-local", (29, 39, 40)),
    "serverless": ('[endpoints.small]\nkind = "serverless"\nprovisioned_concurrency = 2', "kennel-local-small", (45,)),
    "async": ('[endpoints.later]\nkind = "async"', "kennel-local-later", (29, 39, 42)),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_configuration_of_each_kind_is_one_that_aws_takes(name: str, golden: Golden) -> None:
    text, endpoint, contracts = TABLES[name]
    made = config_of(text, endpoint, facts=CUDA if name == "gpu" else None).plan(None)
    golden(f"endpoint-config-{name}", requests(made)[0], rules=contracts)


def test_a_model_is_image_artifact_and_environment(golden: Golden) -> None:
    made = next(each for each in resources("") if isinstance(each, Model)).plan(None)
    golden("model", requests(made)[0], rules=(37, 38))


def test_deleting_and_describing_are_requests_that_aws_takes(golden: Golden) -> None:
    from deploy.endpoints.endpoint_config import remove_config
    from deploy.endpoints.model import remove_model

    for name, step in (("model", remove_model("kennel-local-0")), ("endpoint-config", remove_config("kennel-local-0"))):
        golden(name, requests(step)[0])
    golden("endpoint", requests(remove("kennel-local"))[0])
    for operation, key, suffix in (
        ("Model", "ModelName", "-0"),
        ("EndpointConfig", "EndpointConfigName", "-0"),
        ("Endpoint", "EndpointName", ""),
    ):
        request = Request(service="sagemaker", operation=f"Describe{operation}", params={key: f"kennel-local{suffix}"})
        golden("look", request)


def test_variants_of_one_model_share_it_and_weights_do_not_make_another_configuration() -> None:
    assert len([each for each in resources(TWO) if isinstance(each, Model)]) == 2
    assert config_of(TWO).name == config_of(TWO.replace("weight = 3", "weight = 5")).name
    assert config_of(TWO).name != config_of(TWO.replace("c5.xlarge", "c5.2xlarge")).name


def test_two_endpoints_of_the_same_content_have_configurations_of_their_own() -> None:
    text = '[endpoints.twin]\ntraining = "train"'
    assert config_of(text).name != config_of(text, "kennel-local-twin").name


def test_a_long_endpoint_name_leaves_room_for_the_hash() -> None:
    name = "a" * 20
    text = f'[project]\nname = "{name}"\n[endpoints.{name}]\nkind = "async"'
    assert len(config_of(text, f"{name}-local-{name}").name) <= 63


def test_a_plan_warns_of_a_gpu_that_the_image_does_not_use() -> None:
    step = config_of('[endpoint]\ninstance_type = "ml.g5.xlarge"').plan(None)
    assert step.touches == "ml.g5.xlarge is billed with its GPU, which the serving image (CPU only) does not use"


def test_detailed_observability_is_off_unless_asked_for_and_the_plan_says_that_it_is_billed() -> None:
    off, on = config_of(""), config_of("[endpoint]\ndetailed_observability = true")
    assert [each.metrics for each in (off, on)] == [
        {"EnableDetailedObservability": False},
        {"EnableDetailedObservability": True},
    ]
    assert off.name != on.name
    assert off.plan(None).touches == ""
    assert on.plan(None).touches.startswith("detailed observability: every minute each instance sends its own metrics")
    assert config_of('[endpoints.s]\nkind = "serverless"', "kennel-local-s").metrics == {}
    with pytest.raises(SettingsError, match="detailed_observability: a serverless endpoint has no instances"):
        spec_of('[endpoint]\nkind = "serverless"\ndetailed_observability = true')


def test_without_golden_pictures_any_answer_will_do() -> None:
    made = next(each for each in resources("[endpoint.rollout]\ngolden = false") if isinstance(each, Model))
    assert made.environment == {"KENNEL_GOLDEN_TOLERANCE": "1"}


@pytest.mark.parametrize(
    ("text", "facts", "message"),
    [
        ('instance_type = "ml.c7g.large"', ImageFacts(), "endpoint: ml.c7g.large is an ARM machine"),
        ('instance_type = "ml.inf2.xlarge"', ImageFacts(), "computes on AWS Neuron"),
        ('inference_ami = "al2-ami-sagemaker-inference-gpu-2"', ImageFacts(), "ml.m5.large has none; leave it out"),
        (
            'instance_type = "ml.g5.xlarge"\ninference_ami = "al2-ami-sagemaker-inference-gpu-3-1"',
            ImageFacts(cuda="13.0"),
            r"needs CUDA 13.0, and al2-ami-sagemaker-inference-gpu-3-1 has driver 550 .*al2023-ami",
        ),
        ('instance_type = "ml.g5.xlarge"', ImageFacts(cuda="14.1"), "build the image with an older CUDA"),
        (
            'kind = "serverless"',
            ImageFacts(size_bytes=11 * 10**9),
            "the image has 11.0 GB, and a serverless endpoint takes at most 10 GB",
        ),
        ('kind = "serverless"', ImageFacts(cuda="12.8"), "serverless endpoints have no GPU"),
        ('kind = "serverless"\nrollout = {how = "canary"}', ImageFacts(), "a serverless endpoint moves all at once"),
        ('kind = "serverless"\nrollout = {max_latency_ms = 9, keep_old_seconds = 60}', ImageFacts(), "without alarms"),
        (f'environment = {{LONG = "{"x" * 1025}"}}', ImageFacts(), r"endpoint.environment.LONG: .*1024 bytes"),
    ],
)
def test_what_cannot_work_is_refused_with_the_fix(text: str, facts: ImageFacts, message: str) -> None:
    def check_all() -> None:
        check([spec_of(f"[endpoint]\n{text}")])
        resources(f"[endpoint]\n{text}", facts=facts)

    with pytest.raises(DeployError, match=message):
        check_all()


def test_settings_that_cannot_work_are_refused_before_the_first_call() -> None:
    aws = FakeAws()
    settings = settings_of('[endpoints.b]\ninstance_type = "ml.c7g.large"')
    session = Session(settings=settings, call=aws, build=lambda kind: kind, screen=Screen(out=io.StringIO()))
    with pytest.raises(DeployError, match=r"endpoints\.b: ml.c7g.large"):
        plan(session)
    assert aws.sent == []


def test_a_rollout_that_takes_longer_than_aws_allows_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"rollout.wait_seconds: all steps take 36000 s, but AWS allows 25200"):
        settings_of('[endpoint.rollout]\nhow = "linear"\nwait_seconds = 3600')


def test_an_error_in_a_variant_names_its_table() -> None:
    text = '[endpoints.b.variants.x]\ninstance_type = "ml.m6g.large"'
    with pytest.raises(DeployError, match=r"^endpoints.b.variants.x: ml.m6g.large"):
        check([spec_of(text, "b")])


@pytest.mark.parametrize("name", ["", "main", "kennel-local"])
def test_the_main_endpoint_has_three_spellings(name: str) -> None:
    spec = spec_of("[endpoints.bulk]", name)
    assert (spec.name, spec.short_name, spec.table, spec.is_main) == ("kennel-local", "main", "endpoint", True)


@pytest.mark.parametrize("name", ["bulk", "kennel-local-bulk"])
def test_a_further_endpoint_has_two_spellings(name: str) -> None:
    spec = spec_of("[endpoints.bulk]", name)
    assert (spec.name, spec.short_name, spec.table) == ("kennel-local-bulk", "bulk", "endpoints.bulk")
    assert spec.async_folder == "s3://kennel-local-123456789012-us-east-1/async/bulk"


def test_an_unknown_endpoint_is_refused_with_the_names_to_choose_from() -> None:
    with pytest.raises(DeployError, match=r"^other: unknown endpoint; choose one of main, bulk$"):
        spec_of("[endpoints.bulk]", "other")


def test_an_images_facts_are_read_from_the_engine() -> None:
    output = '{"Size": 266, "Config": {"Labels": {"kennel.cuda.version": "12.8"}}}'
    assert parse(output) == ImageFacts(cuda="12.8", size_bytes=266)
    assert parse('{"Size": 1, "Config": {"Labels": null}}') == ImageFacts(size_bytes=1)
    assert look("none", lambda *_, **__: (1, "No such image")) == ImageFacts()


def test_the_main_endpoint_may_not_be_async(settings: Settings) -> None:
    later = settings.endpoint.model_copy(update={"kind": "async"})
    check(endpoint_specs(settings.model_copy(update={"endpoints": {"bulk": later}})))
    with pytest.raises(DeployError, match=r"of its own, \[endpoints.NAME\]"):
        check(endpoint_specs(settings.model_copy(update={"endpoint": later})))

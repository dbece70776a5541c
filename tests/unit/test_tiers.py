"""The suites, where they run, and which of them run at the same time."""

from __future__ import annotations

from tests.tiers import suites, turns

FILES = [
    "tests/unit/deploy/planning/test_plan.py",
    "tests/unit/serve/test_app.py",
    "tests/functional/deploy/commands/test_commands.py",
    "tests/functional/train/test_main.py",
    "tests/functional/train/learning/test_speed.py",
    "tests/functional/serve/test_process.py",
    "tests/functional/contract/test_files.py",
    "tests/functional/lambda_container/test_cold_start.py",
    "tests/container/deploy/images/test_push.py",
    "tests/e2e/test_stage.py",
]


def test_speed_tests_and_container_tests_run_alone_on_the_machine() -> None:
    names = [[[suite.name for suite in lane] for lane in lanes] for lanes in turns(suites(FILES))]
    assert names == [
        [["unit-host"], ["unit-serve"]],
        [["functional-host"], ["functional-serve", "functional-train"]],
        [["functional-host-speed"]],
        [["functional-train-speed"]],
        [["container-host"]],
        [["e2e-host"]],
    ]


def test_every_file_is_in_one_suite_for_each_place_where_its_package_runs() -> None:
    chosen = suites(FILES)
    named = {name: [suite.where for suite in chosen for path in suite.paths if name.startswith(path)] for name in FILES}
    assert named.pop("tests/functional/contract/test_files.py") == ["serve", "train"]
    assert (
        named.pop("tests/functional/train/learning/test_speed.py") == ["train"] * 2
    )  # the first names its folder, but ignores speed tests
    assert named.pop("tests/functional/lambda_container/test_cold_start.py") == ["host"]
    assert {len(wheres) for wheres in named.values()} == {1}


def test_a_suite_ignores_the_speed_tests_in_its_folders_and_the_speed_suite_names_them() -> None:
    [calm, speed] = suites(FILES, tier="functional", package="train")
    assert "--ignore-glob=*/test_speed.py" in calm.arguments("/results")
    assert speed.arguments("/results")[-1] == "tests/functional/train/learning/test_speed.py"
    assert "--ignore-glob=*/test_speed.py" not in speed.arguments("/results")


def test_one_packages_tests_of_a_tier_can_be_chosen_by_name() -> None:
    assert [suite.name for suite in suites(FILES, tier="container", package="deploy")] == ["container-host"]
    assert suites(FILES, tier="unit", package="starter") == []

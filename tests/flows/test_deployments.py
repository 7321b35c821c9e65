"""Deployments as a person meets them: what can be asked for, what is refused, what a run leaves on Prefect's page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from own_folder import RECIPE, write_own_folder
from prefect.client.orchestration import get_client
from prefect.flows import load_flow_from_entrypoint
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.testing.utilities import prefect_test_harness
from prefect.utilities.callables import parameter_schema

from flows.artefacts import funnel_rows
from flows.deployments import FLOWS, curate_corpora, deployments, serve_flows
from pipeline.errors import ConfigError

DECLARED = yaml.safe_load((Path(__file__).resolve().parents[2] / "prefect.yaml").read_text(encoding="utf-8"))


def test_prefect_yaml_declares_every_flow_with_parameters_that_it_takes() -> None:
    assert {entry["name"] for entry in DECLARED["deployments"]} == FLOWS.keys()
    for entry in DECLARED["deployments"]:
        found = load_flow_from_entrypoint(entry["entrypoint"])
        assert found.name == FLOWS[entry["name"]].name
        assert entry["work_pool"]["name"] == "essen"
        assert entry.get("parameters", {}).keys() <= parameter_schema(found).properties.keys()
        assert not any(schedule["active"] for schedule in entry.get("schedules", ()))


@pytest.mark.parametrize("name", FLOWS)
def test_parameters_are_typed_and_described(name: str) -> None:
    schema = parameter_schema(FLOWS[name])
    assert schema.required == (["file"] if name == "study" else ["recipe"])
    for values in schema.properties.values():
        assert values["description"]
        assert {"type", "anyOf"} & values.keys()


def test_a_parameter_of_another_type_is_refused() -> None:
    with pytest.raises(Exception, match="overrides"):
        curate_corpora.validate_parameters({"recipe": "first-words", "overrides": 3})


def test_a_schedule_belongs_to_the_recipe_that_is_trained() -> None:
    made: dict[str, Any] = {entry.name: entry for entry in deployments("first-words", "0 3 * * 1")}
    assert made.keys() == FLOWS.keys()
    assert [schedule.schedule.cron for schedule in made["train"].schedules] == ["0 3 * * 1"]
    assert not made["curate"].schedules and not made["study"].schedules
    assert made["train"].parameters["recipe"].endswith("first-words.yaml")


@pytest.mark.parametrize(
    ("recipe", "cron", "words"),
    [("no-such", "", "no recipe no-such"), ("", "0 3 * * *", "needs a recipe"), ("first-words", "often", "often")],
)
def test_what_cannot_be_offered_is_named(recipe: str, cron: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        deployments(recipe, cron)


@pytest.mark.parametrize(("url", "words"), [("", "PREFECT_API_URL"), ("http://127.0.0.1:9/api", "127.0.0.1:9")])
def test_a_server_that_is_not_there_is_named(url: str, words: str) -> None:
    with temporary_settings({PREFECT_API_URL: url or None}), pytest.raises(ConfigError, match=words):
        serve_flows()


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=300), disable_run_logger():
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("server")
def test_a_deployed_run_shows_its_funnel(tmp_path: Path) -> None:
    write_own_folder(tmp_path, RECIPE)
    run = tmp_path / "Run 1"
    assert curate_corpora(recipe=str(tmp_path / "mine.yaml"), run=run) == str(run)
    assert (run / "stages/manifest.json").is_file()
    rows = funnel_rows(run)
    assert [row["step"] for row in rows][:2] == ["acquire-shapes", "measure"]
    with get_client(sync_client=True) as client:
        shown = {artefact.key: artefact for artefact in client.read_artifacts()}
    assert shown.keys() == {"funnel-run-1"}
    assert all(str(row["kept"]) in shown["funnel-run-1"].data for row in rows)

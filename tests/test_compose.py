"""deploy/compose without an engine: what Compose itself would refuse, and our own rules."""

import re
from typing import Any

import pytest
import yaml

from formhub.__main__ import ROLES
from tests.manifests import ROOT
from tests.test_kubernetes import NAMES, OTHERS, SECRETS

FOLDER = ROOT / "deploy" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("formhub:")}
SETTINGS = dict(
    line.partition("=")[::2] for line in (FOLDER / "settings.env").read_text().splitlines() if not line.startswith("#")
)


def test_every_role_is_there_and_its_container_is_told_which_it_is() -> None:
    assert {name: service["environment"]["FORMHUB_ROLE"] for name, service in OURS.items()} == {
        role: role for role in ROLES
    }


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_is_there(name: str) -> None:
    service = SERVICES[name]

    for word in ("networks", "secrets"):
        assert set(service.get(word, [])) <= COMPOSE[word].keys()
    assert {mount.partition(":")[0] for mount in service.get("volumes", [])} <= COMPOSE["volumes"].keys()
    assert service.get("depends_on", {}).keys() <= SERVICES.keys()
    assert re.search(r":\d", service["image"]), "a version, never the latest"
    assert "mem_limit" in service
    assert name == "migrate" or service["restart"] == "unless-stopped"
    assert name in OURS or service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", OURS)
def test_a_role_has_no_rights_and_nowhere_to_write(name: str) -> None:
    service = OURS[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["stop_grace_period"].rstrip("s")) >= 30


def test_who_needs_nothing_outside_stays_inside_and_only_the_proxy_reaches_web() -> None:
    """Docker publishes a port only of a container that could reach the outside."""
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if service["networks"] != ["inside"]} == {"egress", "web"}
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "web": ["127.0.0.1:8000:8000"]
    }


def test_the_settings_know_every_variable() -> None:
    given = SETTINGS.keys() | {name for service in OURS.values() for name in service["environment"]}
    files = {value.rpartition("/")[2] for name, value in SETTINGS.items() if name.endswith("_FILE")}

    assert given <= NAMES | SECRETS | OTHERS | {"FORMHUB_ROLE", "REDIS_URL", "REDIS_BUFFER_URL"}
    assert files | {"POSTGRES_PASSWORD"} == COMPOSE["secrets"].keys()


def test_services_are_called_by_their_names_and_web_asks_itself_by_a_name_that_it_answers_to() -> None:
    addresses = [SETTINGS[name] for name in ("REDIS_URL", "REDIS_BUFFER_URL", "KAFKA_BOOTSTRAP_SERVERS")]

    assert [re.findall(r"(?:^|//)([a-z]+):", address)[-1] for address in addresses] == ["cache", "buffer", "kafka"]
    assert {"cache", "buffer", "kafka"} <= SERVICES.keys()
    assert "127.0.0.1" in SETTINGS["ALLOWED_HOSTS"].split(",")


def test_one_broker_writes_to_disk_before_it_acknowledges_and_the_buffer_forgets_nothing() -> None:
    assert SERVICES["kafka"]["environment"]["KAFKA_LOG_FLUSH_INTERVAL_MESSAGES"] == 1
    assert {"noeviction", "everysec"} <= set(SERVICES["buffer"]["command"])

"""The manifests of deploy/k8s, without a cluster: built, valid against every schema, and held to our own rules."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from formhub.__main__ import ROLES, command
from tests.manifests import (
    BUILT_IN,
    CRDS,
    FOLDER,
    OVERLAYS,
    ROOT,
    Pod,
    Thing,
    allowed,
    built,
    named,
    of_kind,
    rules,
    selects,
    templates,
    title,
    trouble,
)
from workers.loops import known

SETTINGS = "".join(path.read_text() for path in (ROOT / "formhub" / "settings").glob("*.py"))
OTHERS = {"DJANGO_SETTINGS_MODULE"}
NAMES = set(re.findall(r'env\.\w+\(\s*"(\w+)"', SETTINGS)) | set(
    re.findall(r'env\.pair\("(\w+)", "(\w+)"', SETTINGS)[0]
)
SECRETS = {f"{name}_FILE" for name in re.findall(r'env\.secret\("(\w+)"', SETTINGS)} | set(
    re.findall(r'"(CELERY_BROKER_URL|REDIS_BUFFER_URL)"', SETTINGS)
)
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
with_definitions = pytest.mark.skipif(
    not CRDS.is_dir(), reason=f"custom resources are not checked: set FORMHUB_CRDS ({CRDS} is not there)"
)
everywhere = pytest.mark.parametrize("overlay", OVERLAYS)


@everywhere
def test_every_object_of_a_built_in_kind_is_valid(overlay: str) -> None:
    found = [thing for thing in built(overlay) if thing["apiVersion"] in BUILT_IN]

    assert len(found) > 20
    assert [said for thing in found if (said := trouble(thing))] == []


@with_definitions
@everywhere
def test_every_custom_resource_is_valid_and_knows_each_of_its_fields(overlay: str) -> None:
    found = [thing for thing in built(overlay) if thing["apiVersion"] not in BUILT_IN]

    assert len(found) > 10
    assert [said for thing in found if (said := trouble(thing))] == []


@with_definitions
def test_a_misspelt_field_of_a_custom_resource_is_noticed() -> None:
    kafka = named("production", "Kafka", "formhub")

    assert "brokerz" in trouble({**kafka, "spec": {**kafka["spec"], "brokerz": 3}})


def test_a_misspelt_field_of_a_built_in_kind_is_noticed() -> None:
    web = named("production", "Deployment", "web")

    assert "replica" in trouble({**web, "spec": {**web["spec"], "replica": 3}})


@everywhere
def test_every_pod_runs_under_the_restricted_profile(overlay: str) -> None:
    [namespace] = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, template in templates(overlay).items():
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }, name  # fmt: skip
        assert all(set(volume) - {"name"} <= {"emptyDir", "secret", "configMap", "persistentVolumeClaim"}
                   for volume in pod["volumes"])  # fmt: skip


@everywhere
def test_every_container_has_an_image_of_a_version_limits_and_a_probe(overlay: str) -> None:
    for name, template in templates(overlay).items():
        for container in template["spec"]["containers"]:
            tag = container["image"].rpartition(":")[2]
            assert re.match(r"\d", tag), container["image"]
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]
            assert name == "migrate" or {"livenessProbe", "startupProbe"} <= container.keys(), name


@everywhere
def test_a_role_has_the_time_to_end_that_the_guide_gives_it(overlay: str) -> None:
    guide = (ROOT / "docs" / "operations.md").read_text()
    told = {
        role: int(seconds) for role, seconds in re.findall(r"^\| (\w+) \| [^|]* \| (\d+) s \|$", guide, re.MULTILINE)
    }
    for thing in of_kind(overlay, "Deployment"):
        pod = thing["spec"]["template"]["spec"]
        role = pod["containers"][0]["args"][0]
        assert pod["terminationGracePeriodSeconds"] == told["worker" if role == "egress" else role], title(thing)


@everywhere
def test_a_container_runs_a_role_and_its_probe_asks_for_the_same(overlay: str) -> None:
    for name, template in templates(overlay).items():
        if name == "valkey":
            continue
        [container] = template["spec"]["containers"]
        role, *rest = container["args"]
        assert role in ROLES, name
        if role not in {"web", "migrate"}:
            assert command(role, rest)
            asked = ["python", "-m", "formhub", "probe", role, *rest]
            assert {tuple(container[probe]["exec"]["command"]) for probe in ("startupProbe", "livenessProbe")} == {
                tuple(asked)
            }


@everywhere
def test_web_is_asked_by_a_name_that_it_answers_to(overlay: str) -> None:
    [settings] = [thing["data"] for thing in of_kind(overlay, "ConfigMap") if "ALLOWED_HOSTS" in thing["data"]]
    [container] = templates(overlay)["web"]["spec"]["containers"]

    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        asked = container[probe]["httpGet"]
        assert asked["path"] == path
        assert asked["httpHeaders"] == [{"name": "Host", "value": settings["ALLOWED_HOSTS"]}]


@everywhere
def test_every_loop_that_there_is_has_a_deployment(overlay: str) -> None:
    containers = [template["spec"]["containers"][0] for template in templates(overlay).values()]
    run = [each["args"][1] for each in containers if each.get("args", [""])[0] == "consumer"]

    assert {name for names in run for name in names.split(",")} == known().keys()


@everywhere
def test_there_is_one_beat_and_it_is_gone_before_the_next_one_comes(overlay: str) -> None:
    beat = named(overlay, "Deployment", "beat")["spec"]
    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})


@everywhere
def test_every_variable_is_one_that_the_settings_read(overlay: str) -> None:
    maps = [thing["data"] for thing in of_kind(overlay, "ConfigMap") if thing["metadata"]["name"].startswith("formhub")]
    given = {name for data in maps for name in data}
    for template in templates(overlay).values():
        given |= {each["name"] for container in template["spec"]["containers"] for each in container.get("env", [])}

    assert len(given) > 15
    assert given <= NAMES | SECRETS | OTHERS


@everywhere
def test_what_is_mounted_is_there(overlay: str) -> None:
    claims = {thing["metadata"]["name"] for thing in of_kind(overlay, "PersistentVolumeClaim")}
    maps = {thing["metadata"]["name"] for thing in of_kind(overlay, "ConfigMap")}
    users = {thing["metadata"]["name"] for thing in of_kind(overlay, "KafkaUser")}
    for name, template in templates(overlay).items():
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        used = {mount["name"] for each in template["spec"]["containers"] for mount in each["volumeMounts"]}
        assert used <= volumes.keys() | ({"data"} if name == "valkey" else set())
        for volume in volumes.values():
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in claims
            if made := volume.get("configMap"):
                assert made["name"] in maps
            if kept := volume.get("secret"):
                assert kept["secretName"] in {"formhub", "formhub-cluster-ca-cert", *users}


@everywhere
def test_selectors_select(overlay: str) -> None:
    pods = [template["metadata"]["labels"] for template in templates(overlay).values()]
    for thing in of_kind(overlay, "Deployment", "StatefulSet"):
        assert selects(thing["spec"]["selector"], thing["spec"]["template"]["metadata"]["labels"]), title(thing)
    for thing in of_kind(overlay, "PodDisruptionBudget"):
        assert sum(selects(thing["spec"]["selector"], labels) for labels in pods) == 1, title(thing)
    for thing in of_kind(overlay, "Service"):
        assert sum(selects({"matchLabels": thing["spec"]["selector"]}, labels) for labels in pods) == 1, title(thing)


def test_everything_that_may_be_drained_has_a_budget_and_is_spread_over_zones() -> None:
    budgets = {thing["metadata"]["name"] for thing in of_kind("production", "PodDisruptionBudget")}
    for thing in of_kind("production", "Deployment", "StatefulSet"):
        name = thing["metadata"]["name"]
        if name != "beat":
            assert name in budgets
            spread = thing["spec"]["template"]["spec"]["topologySpreadConstraints"]
            assert "topology.kubernetes.io/zone" in {each["topologyKey"] for each in spread}, name


@everywhere
def test_there_are_never_more_readers_than_partitions_and_topic_and_settings_agree(overlay: str) -> None:
    topic = named(overlay, "KafkaTopic", "submissions.v1")["spec"]
    [settings] = [thing["data"] for thing in of_kind(overlay, "ConfigMap") if "SUBMISSIONS_PARTITIONS" in thing["data"]]
    scaled = {thing["metadata"]["name"]: thing["spec"]["maxReplicaCount"] for thing in of_kind(overlay, "ScaledObject")}
    brokers = named(overlay, "KafkaNodePool", "brokers")["spec"]["replicas"]

    for group in ("archive", "deliver", "content-analysis"):
        most = max(named(overlay, "Deployment", group)["spec"].get("replicas", 1), scaled.get(group, 1))
        assert most <= topic["partitions"]
    assert topic["partitions"] == int(settings["SUBMISSIONS_PARTITIONS"])
    assert topic["replicas"] == int(settings["SUBMISSIONS_REPLICATION"]) <= brokers
    assert topic["config"]["min.insync.replicas"] == int(settings["SUBMISSIONS_MIN_INSYNC"])
    assert topic["config"].get("flush.messages") == (1 if brokers == 1 else None), "one broker writes to disk first"


def test_a_trigger_on_lag_asks_for_nothing_that_excludes_the_rest() -> None:
    for thing in of_kind("production", "ScaledObject"):
        scaled = named("production", "Deployment", thing["spec"]["scaleTargetRef"]["name"])
        assert "replicas" not in scaled["spec"], "an apply would set back what KEDA has set"
        for trigger in thing["spec"]["triggers"]:
            if trigger["type"] == "kafka":
                asked = trigger["metadata"]
                assert asked["offsetResetPolicy"] == "earliest"
                [container] = templates("production")[thing["metadata"]["name"]]["spec"]["containers"]
                assert asked["consumerGroup"] in container["args"][1].split(",")
                assert not {"allowIdleConsumers", "ensureEvenDistributionOfPartitions"} & asked.keys()


def test_who_writes_the_log_and_who_reads_it_has_the_right_to_do_so_and_no_other() -> None:
    def may(user: str, kind: str, operation: str) -> bool:
        acls = named("production", "KafkaUser", user)["spec"]["authorization"]["acls"]
        return any(operation in acl["operations"] for acl in acls if acl["resource"]["type"] == kind)

    users = {thing["metadata"]["name"] for thing in of_kind("production", "KafkaUser")}
    assert {user for user in users if may(user, "topic", "Write")} == {"web", "worker", "content-analysis"}
    assert {user for user in users if may(user, "group", "Read")} == {"archive", "deliver", "content-analysis"}
    assert {user for user in users if may(user, "topic", "Create")} == {"migrate"}
    clients = {
        name
        for name, template in templates("production").items()
        if template["metadata"]["labels"].get("formhub/kafka") == "client"
    }
    assert clients == users - {"keda"}


def role(name: str) -> Pod:
    return Pod(templates("production")[name]["metadata"]["labels"])


KAFKA = Pod({"strimzi.io/cluster": "formhub", "strimzi.io/kind": "Kafka"})
POSTGRES = Pod({"cnpg.io/cluster": "archive"})
POOLER = Pod({"cnpg.io/poolerName": "archive-pooler"})
DNS = Pod({"k8s-app": "kube-dns"}, "kube-system")
GATEWAY, PROMETHEUS, STRANGER = (Pod({}, name) for name in ("gateway", "monitoring", "somebody"))
OUTSIDE = {
    "a public server": ("93.184.216.34", True),
    "a public server by IPv6": ("2606:2800:220::1", True),
    "a private one": ("10.96.0.1", False),
    "the metadata": ("169.254.169.254", False),
    "the carrier's": ("100.64.1.1", False),
    "6to4 of a private one": ("2002:a00:1::1", False),
    "a private one by IPv6": ("fd00::1", False),
}
INSIDE = ("web", "archive", "deliver", "content-analysis", "egress", "worker", "beat", "migrate")
CLIENTS = {*INSIDE} - {"egress", "beat"}


def flows() -> list[Any]:
    """Who, to whom, at which port, and whether it is let through."""
    found: list[tuple[str, Pod, Pod, int, bool]] = []
    for name in INSIDE:
        pod = role(name)
        found += [(f"{name} to the database", pod, POSTGRES, 5432, True), (f"{name} to names", pod, DNS, 53, True)]
        found += [(f"{name} to the pooler", pod, POOLER, 5432, True)]
        found += [(f"{name} to valkey", pod, role("valkey"), port, True) for port in (6379, 26379)]
        found += [(f"{name} to kafka", pod, KAFKA, 9093, name in CLIENTS)]
        found += [
            (f"{name} to a stranger", pod, STRANGER, 443, False),
            (f"{name} to web", pod, role("web"), 8000, False),
        ]
        found += [(f"the gateway to {name}", GATEWAY, pod, 8000, name == "web")]
        found += [(f"Prometheus to {name}", PROMETHEUS, pod, 9100, True)]
        found += [(f"a stranger to {name}", STRANGER, pod, 9100, False)]
        found += [
            (f"{name} to {where}", pod, Pod({}, "", address), 443, public and name == "egress")
            for where, (address, public) in OUTSIDE.items()
        ]
        found += [(f"{name} to a public shell", pod, Pod({}, "", "93.184.216.34"), 22, False)]
    found += [
        ("the broker to the broker", KAFKA, KAFKA, 9091, True),
        ("a database to a database", POSTGRES, POSTGRES, 5432, True),
        ("the pooler to the database", POOLER, POSTGRES, 5432, True),
        ("valkey to valkey", role("valkey"), role("valkey"), 26379, True),
        ("valkey to the outside", role("valkey"), Pod({}, "", "93.184.216.34"), 443, False),
        ("a stranger to the database", STRANGER, POSTGRES, 5432, False),
        ("a stranger to the pooler", STRANGER, POOLER, 5432, False),
        ("a stranger to kafka", STRANGER, KAFKA, 9093, False),
        ("KEDA to kafka", Pod({}, "keda"), KAFKA, 9093, True),
    ]
    return [pytest.param(*flow[1:], id=flow[0]) for flow in found]


@pytest.mark.parametrize(("source", "target", "port", "through"), flows())
def test_the_network_lets_through_what_is_needed_and_nothing_else(
    source: Pod, target: Pod, port: int, through: bool
) -> None:
    assert allowed(of_kind("production", "NetworkPolicy"), source, target, port) is through


def test_alerts_in_the_cluster_are_those_of_the_one_file() -> None:
    path: Path = FOLDER / "components" / "monitoring" / "rules.yaml"
    written: Thing = yaml.safe_load(path.read_text())

    wanted = rules(ALERTS)
    assert written == wanted, f"{path} should hold:\n\n{yaml.safe_dump(wanted, sort_keys=False, width=120)}"


def test_the_route_leads_to_the_service_of_web() -> None:
    [route] = of_kind("production", "HTTPRoute")
    [ingress] = of_kind("single-node", "Ingress")
    service = named("production", "Service", "web")
    [rule] = route["spec"]["rules"]

    assert rule["backendRefs"] == [{"name": "web", "port": service["spec"]["ports"][0]["port"]}]
    [path] = ingress["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": "web", "port": {"name": service["spec"]["ports"][0]["name"]}}

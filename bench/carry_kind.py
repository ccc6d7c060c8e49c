"""A kind of action that takes as long as a call over a network and keeps nothing."""

import time
from collections.abc import Mapping
from typing import Any

from django import forms

from apps.sinks.contract import Batch, Policy, RetryableError, Sink

CALL_SECONDS = 0.05
HANGS_SECONDS = 5.0


class HoleConfig(forms.Form):
    place = forms.CharField()
    dead = forms.BooleanField(required=False)


class Hole(Sink):
    name, label = "hole", "Hole"
    Config = HoleConfig
    policy = Policy(max_items=1000, max_seconds=1, ordered=True, repeatable=True)

    @classmethod
    def destination(cls, config: Mapping[str, Any]) -> str:
        return str(config["place"])

    def deliver(self, batch: Batch) -> None:
        if self.config["dead"]:
            time.sleep(HANGS_SECONDS)
            raise RetryableError("No answer.")
        time.sleep(CALL_SECONDS)

    def check(self) -> str:
        return "It takes everything."


KINDS: Mapping[str, type[Sink]] = {Hole.name: Hole}

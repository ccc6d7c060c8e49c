"""The surface that a processor is written against. Everything public here is kept stable under API_VERSION.

A processor reads one stream and writes another. It is a class with one verb:

    class Length(Processor):
        name, label = "length", "Length of the answers"

        def process(self, submission):
            return {"characters": sum(len(str(answer)) for answer in submission.answers.values())}

What it returns becomes a record of the stream `stream.<name>`, under the submission's own id: a result that is made
again is the same record again, and whoever keeps results keeps one per submission. Offsets, publishing, keeping and
erasing are the engine's; a processor only looks.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django import forms

from apps.sinks.contract import Submission

API_VERSION = 1
SUBMISSIONS = "submissions"
PREFIX = "stream."

__all__ = ["API_VERSION", "PREFIX", "SUBMISSIONS", "NoSettings", "Processor", "Submission"]


class NoSettings(forms.Form):
    """Of a processor that has nothing to set."""


class Processor(ABC):
    """One kind of analysis. An instance serves the forms that have the same settings, for as long as they have them.

    consumes: `submissions`, or `stream.<name>` of another processor, whose results then come as the answers.
    partitions and retention_hours: of its own topic; 0 means as many as the topic of submissions has.
    """

    api_version: ClassVar[int] = API_VERSION
    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str] = ""
    Config: ClassVar[type[forms.Form]] = NoSettings
    consumes: ClassVar[str] = SUBMISSIONS
    partitions: ClassVar[int] = 0
    retention_hours: ClassVar[int] = 0

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    @abstractmethod
    def process(self, submission: Submission) -> Mapping[str, Any] | None:
        """The result as JSON can hold it, None for none. It must end by itself within about a second.

        An exception becomes the result `{"error": its class}`: one submission never holds up those behind it.
        """

    @classmethod
    def describe(cls, result: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
        """A result for people, as pairs of a name and a text. By default what it holds, as it is."""
        return [(str(name), str(value)) for name, value in result.items()]

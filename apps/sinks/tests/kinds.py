"""A kind of action that keeps what it gets, for tests."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from django import forms

from apps.sinks.contract import Batch, Confirmation, Policy, SecretField, Sink


class ShelfConfig(forms.Form):
    shelf = forms.CharField(max_length=2000)
    shade = forms.CharField(required=False)
    token = SecretField()


class Shelf(Sink):
    """Batches by shelf, in the order of their arrival; one that stands there already is not put there again.

    `script` holds what the next calls do before (or, wrapped in `after_landing`, after) the batch lands.
    """

    name, label = "shelf", "Shelf"
    Config = ShelfConfig
    policy = Policy(max_items=10, max_seconds=5, ordered=True, repeatable=True)
    shelves: ClassVar[dict[str, list[Batch]]] = {}
    offers: ClassVar[list[Batch]] = []
    script: ClassVar[list[Callable[[Batch], None] | None]] = []
    always: ClassVar[Callable[[Batch], None] | None] = None
    confirmation: ClassVar[Confirmation] = Confirmation.UNKNOWN

    @classmethod
    def reset(cls) -> None:
        cls.shelves, cls.offers, cls.script = {}, [], []
        cls.always, cls.confirmation = None, Confirmation.UNKNOWN

    @classmethod
    def destination(cls, config: Mapping[str, Any]) -> str:
        return str(config["shelf"])

    @classmethod
    def rows(cls, shelf: str) -> list[UUID]:
        return [id for batch in cls.shelves.get(shelf, []) for id in batch.ids]

    def deliver(self, batch: Batch) -> None:
        self.offers.append(batch)
        step = self.script.pop(0) if self.script else None
        if step is not None and not getattr(step, "after", False):
            step(batch)
        if type(self).always is not None:
            type(self).always(batch)  # type: ignore[misc]
        self._land(batch)
        if step is not None and getattr(step, "after", False):
            step(batch)

    def confirm(self, batch: Batch) -> Confirmation:
        return self.confirmation

    def check(self) -> str:
        return f"The shelf {self.config['shelf']} is there."

    def _land(self, batch: Batch) -> None:
        shelf = self.shelves.setdefault(str(self.config["shelf"]), [])
        if not (self.policy.repeatable and any(landed.id == batch.id for landed in shelf)):
            shelf.append(batch)


class Letterbox(Shelf):
    """The same without the promise that a repeat is harmless."""

    name, label = "letterbox", "Letterbox"
    policy = Policy(max_items=10, max_seconds=5, repeatable=False, retry_seconds=(1.0, 2.0))


def raising(error: Exception) -> Callable[[Batch], None]:
    def step(batch: Batch) -> None:
        raise error

    return step


def after_landing(error: Exception) -> Callable[[Batch], None]:
    step = raising(error)
    step.after = True  # type: ignore[attr-defined]
    return step

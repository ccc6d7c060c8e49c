"""The same key with the same answers is the same submission, answered the same for as long as its record is kept.

Equality is that of the answers as they were parsed, not of the bytes sent nor of what became of them in a version of
the form. Without its record a repetition is accepted again under the same id: see `accept`.
"""

import hashlib
import random

from apps.forms.published import PublishedForm
from apps.intake.gate.base import RUNNING_SECONDS, Claim, Entry, stored_answer
from formhub.core.problem import Problem


def claim(form: PublishedForm, key: str, canonical: bytes) -> Claim:
    """`canonical`: the parsed answers in their one spelling."""
    return Claim(f"key:{form.id}:{key}", hashlib.sha256(canonical).hexdigest(), _owner())


def _owner() -> str:
    """Told apart from all others', but no secret: whoever writes into Redis can do as they like anyway."""
    return f"{random.getrandbits(64):016x}"


def still_running(entry: Entry, claim: Claim) -> bool:
    """Whether a try with the same key and answers has not come to its end."""
    return entry.held is not None and claim.same_body(entry.held) and stored_answer(entry.held) is None


def check(entry: Entry, claim: Claim) -> str | None:
    """The answer given to the first try, None if this is the first. Raises Problem 409 and 422."""
    if entry.held is None:
        return None
    if not claim.same_body(entry.held):
        raise reused()
    answer = stored_answer(entry.held)
    if answer is None:
        raise Problem(
            409,
            "still_running",
            "The first try with this idempotency key is still running; ask again for its answer.",
            headers={"Retry-After": "1"},
            running_seconds_at_most=RUNNING_SECONDS,
        )
    return answer


def reused() -> Problem:
    return Problem(422, "idempotency_key_reused", "This idempotency key was used with other answers; take a new key.")

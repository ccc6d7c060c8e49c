"""One e-mail address, or none: what a mail may be sent to."""

from email_validator import EmailNotValidError, validate_email

LONGEST = 254  # RFC 5321


class AddressUnusableError(ValueError):
    """A text that is not exactly one address that every mail server takes. It says nothing of the text."""


def parse(text: object) -> str:
    """The address as a mail server is given it: one, without a name, a list or a line break.

    Letters beyond ASCII are taken in the domain only, which is written in its ASCII form.
    """
    if not isinstance(text, str) or len(text) > LONGEST or not text.isprintable():
        raise AddressUnusableError
    try:
        found = validate_email(text.strip(), check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        raise AddressUnusableError from None
    if found.ascii_email is None or len(found.ascii_email) > LONGEST:
        raise AddressUnusableError
    return found.ascii_email


def mailbox(address: str) -> str:
    """What counts as the same mailbox: without regard to case, and to what stands after a plus."""
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}"

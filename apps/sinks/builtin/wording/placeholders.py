"""Placeholders in people's texts: `{{ name }}` is replaced by a value, in one pass, and nothing is ever evaluated.

A value is put in as it is: what looks like a placeholder in an answer stays what it is. Braces around anything that
could not be a name on one line are plain text.
"""

import re
from collections.abc import Callable

# Neither part can match the other, and the middle is bounded: time grows with the text's length only.
_MARK = re.compile(r"\{\{([^{}\n]{0,100})\}\}")


def names(text: str) -> list[str]:
    """What stands between braces, each once, in the order of its first use."""
    return list(dict.fromkeys(found.strip() for found in _MARK.findall(text)))


def fill(text: str, value: Callable[[str], str]) -> str:
    return _MARK.sub(lambda match: value(match[1].strip()), text)

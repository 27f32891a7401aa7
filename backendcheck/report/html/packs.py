"""The form of cases in a page: the first ones are HTML, the others are deflated, and the browser unpacks them on demand.

Ten thousand cases in HTML would take a hundred megabytes. Cases are so similar that some dozens deflated together take a tenth.
`DecompressionStream`, which every current browser has, unpacks them without a request. One template escapes all cases, packed or
not.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice

from markupsafe import Markup

SEPARATOR = "\x1e"  # between the cases of a pack; no case contains it, because control characters are escaped
N_TOGETHER = 32


def deflated(html: str) -> str:
    """Text deflated (zlib), in base64."""
    return base64.b64encode(zlib.compress(html.encode(), 9)).decode("ascii")


def packs(sections: Iterable[Markup]) -> Iterator[str]:
    """The sections, `N_TOGETHER` at a time, joined by `SEPARATOR` and deflated."""
    remaining = iter(sections)
    while together := list(islice(remaining, N_TOGETHER)):
        yield deflated(SEPARATOR.join(together))

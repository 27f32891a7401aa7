"""Cases in detail as the page holds them: the first as HTML, the others deflated, to be unpacked by the browser when asked for.

Ten thousand cases in HTML would be a hundred megabytes. They repeat each other so much that deflating some dozens at a time
leaves a tenth; `DecompressionStream`, which every current browser has, unpacks them without a request. What is packed was escaped
by the same template as what is not: there is one way to make a case into HTML.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice

from markupsafe import Markup

SEPARATOR = "\x1e"  # between the cases of a pack; control characters are written out in all that is shown, so that none holds it
N_TOGETHER = 32


def deflated(html: str) -> str:
    """Text deflated (zlib), in base64."""
    return base64.b64encode(zlib.compress(html.encode(), 9)).decode("ascii")


def packs(sections: Iterable[Markup]) -> Iterator[str]:
    """The sections, `N_TOGETHER` at a time, joined by `SEPARATOR` and deflated."""
    remaining = iter(sections)
    while together := list(islice(remaining, N_TOGETHER)):
        yield deflated(SEPARATOR.join(together))

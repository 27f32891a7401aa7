"""SVG marks as text. All text is escaped, and the style sheet sets the colors, also for dark mode and print."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from backendcheck.text.escape import visible

LARGEST = 1e300  # the end of an axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture with a caption that says what it shows and how much was left out. A `wide` one has a row of its own."""

    title: str
    picture: Markup
    caption: str
    wide: bool = False


# Marks are joined as plain text with every value escaped by hand: `Markup.format` took a third of the time of a report.
def picture(marks: Sequence[Markup], *, width: float, height: float, label: str) -> Markup:
    """An inline picture; `label` is its text for screen readers."""
    frame = f'viewBox="0 0 {number(width)} {number(height)}" style="max-width:{number(width)}px"'
    return _markup(f'<svg class="chart" {frame} role="img" aria-label="{escape(visible(label))}">{"".join(marks)}</svg>')


def element(name: str, text: str = "", **attributes: object) -> Markup:
    """One element. An underscore in the name of an attribute becomes a hyphen; a trailing one is dropped."""
    inside = _inside({key: number(value) for key, value in attributes.items()})
    return _markup(f"<{name}{inside}>{escape(visible(text))}</{name}>" if text else f"<{name}{inside}/>")


def group(marks: Sequence[Markup], **attributes: object) -> Markup:
    """Marks that share attributes, written once."""
    return _markup(f"<g{_inside(attributes)}>{''.join(marks)}</g>")


def titled(mark: Markup, title: str) -> Markup:
    """A mark with a tooltip."""
    return _markup(f"<g><title>{escape(visible(title))}</title>{mark}</g>")


def _inside(attributes: Mapping[str, object]) -> str:
    return "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())


def _markup(text: str) -> Markup:
    return Markup(text)  # noqa: S704 - all that comes from elsewhere in it is escaped


def number(value: object) -> object:
    """A coordinate with two decimals, to keep a page small that has many."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) and math.isfinite(value) else value


class Scale:
    """From values to pixels, linear or logarithmic."""

    def __init__(self, low: float, high: float, start: float, end: float, *, log: bool = False) -> None:
        self.log = log
        self.low, self.high = (math.log10(min(low, LARGEST)), math.log10(min(high, LARGEST))) if log else (low, high)
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        at = math.log10(min(value, LARGEST)) if self.log else value
        share = (at - self.low) / ((self.high - self.low) or 1.0)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values to label: powers of ten, or steps of 1, 2, 5."""
        if self.log:
            exponents = range(math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9) + 1)
            if len(exponents) < 2:  # noqa: PLR2004 - too few powers of ten for an axis
                return self._within_a_decade()
            step = max(1, math.ceil(len(exponents) / most))
            return [10.0**exponent for exponent in exponents if (exponent - exponents[0]) % step == 0]
        span = (self.high - self.low) or 1.0
        unit = 10.0 ** math.floor(math.log10(span / most))
        width = unit * next(factor for factor in (1, 2, 5, 10) if span / (unit * factor) <= most)
        first = math.ceil(self.low / width)
        return [round(width * n, 12) for n in range(first, math.floor(self.high / width + 1e-9) + 1)]

    def _within_a_decade(self) -> list[float]:
        """1, 2 and 5 times a power of ten, within the range."""
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        values = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
        return [value for value in values if self.low - 1e-9 <= math.log10(value) <= self.high + 1e-9]


def axis_below(scale: Scale, y: float, label: str, *, whole: bool = False) -> list[Markup]:
    """Ticks and a label below a plot; `whole` keeps only ticks at whole numbers."""
    places = [(number(scale(tick)), short(tick)) for tick in scale.ticks() if not whole or tick == round(tick)]
    line = f"M{number(scale.start)} {number(y)}H{number(scale.end)}" + "".join(f"M{x} {number(y)}v4" for x, _ in places)
    names = [element("text", name, x=x, y=y + 15) for x, name in places]
    marks = [element("path", d=line, class_="axis"), group(names, class_="tick", text_anchor="middle")]
    marks.append(element("text", label, x=(scale.start + scale.end) / 2, y=y + 30, class_="label", text_anchor="middle"))
    return marks


def axis_left(scale: Scale, x: float, label: str) -> list[Markup]:
    """Ticks left of a plot, its label above them."""
    places = [(scale(tick), short(tick)) for tick in scale.ticks()]
    line = f"M{number(x)} {number(scale.start)}V{number(scale.end)}" + "".join(f"M{number(x)} {number(y)}h-4" for y, _ in places)
    names = [element("text", name, x=x - 7, y=y + 3.5) for y, name in places]
    marks = [element("path", d=line, class_="axis"), group(names, class_="tick", text_anchor="end")]
    marks.append(element("text", label, x=4, y=min(scale.start, scale.end) - 8, class_="label"))
    return marks


def short(value: float) -> str:
    """A tick in few characters."""
    return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e") if value and not 1e-3 <= abs(value) < 1e4 else f"{value:g}"  # noqa: PLR2004

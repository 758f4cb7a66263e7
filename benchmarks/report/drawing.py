"""A plot as SVG: on a ground of its own, light or dark as the reader's system is."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH = 720
FONT = 13
STYLE = """\
<style>
.ground { fill: #ffffff; stroke: #d5dae3 } text { fill: #1b2333 } .faint { fill: #5a6478 }
.grid { stroke: #d5dae3 } .goal { stroke: #1b2333; stroke-dasharray: 4 3 }
.met { fill: #1f6fb2; stroke: #1f6fb2 } .missed { fill: #c2570c; stroke: #c2570c }
.void { fill: #ffffff; stroke: #5a6478 } .bar { fill: #b9d3ea } .ours { fill: #7fb2dc }
.dot { fill: #1b2333; fill-opacity: 0.55 } .curve { fill: none; stroke: #1f6fb2; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
.ground { fill: #16191f; stroke: #3a414e } text { fill: #e6e9ef } .faint { fill: #a3acbb }
.grid { stroke: #3a414e } .goal { stroke: #e6e9ef }
.met { fill: #6db3ea; stroke: #6db3ea } .missed { fill: #f0935a; stroke: #f0935a }
.void { fill: #16191f; stroke: #a3acbb } .bar { fill: #2d4a63 } .ours { fill: #3b76a6 }
.dot { fill: #e6e9ef } .curve { stroke: #6db3ea }
}
</style>"""


@dataclass(slots=True)
class Drawing:
    """Shapes by coordinates in pixels, from the top left; what they look like is their class."""

    title: str
    height: float
    _shapes: list[str] = field(default_factory=list)

    def line(self, at: tuple[float, float], to: tuple[float, float], look: str) -> None:
        ends = f'x1="{at[0]:.1f}" y1="{at[1]:.1f}" x2="{to[0]:.1f}" y2="{to[1]:.1f}"'
        self._shapes.append(f'<line class="{look}" {ends}/>')

    def rectangle(self, at: tuple[float, float], width: float, height: float, look: str) -> None:
        size = f'width="{max(width, 0.5):.1f}" height="{height:.1f}"'
        self._shapes.append(f'<rect class="{look}" x="{at[0]:.1f}" y="{at[1]:.1f}" {size}/>')

    def dot(self, at: tuple[float, float], radius: float, look: str) -> None:
        self._shapes.append(
            f'<circle class="{look}" cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius:.1f}"/>'
        )

    def path(self, points: list[tuple[float, float]], look: str) -> None:
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._shapes.append(f'<polyline class="{look}" points="{joined}"/>')

    def text(
        self, at: tuple[float, float], words: str, anchor: str = "start", look: str = ""
    ) -> None:
        how = f'class="{look}" ' if look else ""
        self._shapes.append(
            f'<text {how}x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}">'
            f"{escape(words)}</text>"
        )

    def svg(self) -> str:
        """The file."""
        size = f'viewBox="0 0 {WIDTH} {self.height:.0f}" width="{WIDTH}" height="{self.height:.0f}"'
        font = f'font-family="system-ui, sans-serif" font-size="{FONT}"'
        ground = (
            f'<rect class="ground" x="0.5" y="0.5" rx="8" width="{WIDTH - 1}" '
            f'height="{self.height - 1:.0f}"/>'
        )
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" '
            f'aria-labelledby="title" {font}>'
        )
        title = f'<title id="title">{escape(self.title)}</title>'
        return "\n".join([head, title, STYLE, ground, *self._shapes, "</svg>"]) + "\n"


def shortened(words: str, most: int) -> str:
    """What a place in a plot has room for."""
    return words if len(words) <= most else f"{words[: most - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"

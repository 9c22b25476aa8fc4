"""Small drawings as inline SVG: colours come from the page's style sheet, numbers stand in tooltips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from consolidate.plan.plan import HostPlan, HostState
from consolidate.report.summary import Flow, peak
from consolidate.report.words import count, format_isolation, format_permille
from consolidate.units import format_bytes

LEVELS = 10
"""Steps of the colour scale, each a tenth of the allocatable capacity."""
STRIP_COLUMNS = 50
_CELL, _PITCH = 14, 17
_METER_WIDTH, _HOUR_WIDTH = 120, 7
_RIBBONS_WIDTH, _LABEL_WIDTH, _NODE_WIDTH = 600, 130, 8
_NODE_GAP = 16
_LABEL_LETTERS = 14
_RIBBONS_HEIGHT = 120, 420
"""At least and at most; a flow more makes it taller."""
_KNOWN_ISOLATIONS = ("container", "hosted-vm", "native", "vm")


def level(permille: int) -> str:
    """Style class of a reserved share."""
    return "over" if permille > 1000 else f"h{min(permille * LEVELS // 1000, LEVELS - 1)}"


def isolation_class(isolation: str) -> str:
    """Style class of an isolation."""
    return f"iso-{isolation if isolation in _KNOWN_ISOLATIONS else 'other'}"


def _svg(width: float, height: float, label: str, parts: Iterable[Markup], css: str) -> Markup:
    """A picture; bars may be stretched to the width of their place."""
    box = Markup('viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}" preserveAspectRatio="{}"').format(
        width, height, width, height, "none" if css == "bar" else "xMinYMin"
    )
    return Markup('<svg class="{}" {} role="img" aria-label="{}">{}</svg>').format(
        css, box, label, Markup("").join(parts)
    )


def _rect(x: float, y: float, size: tuple[float, float], css: str, title: str) -> Markup:
    return Markup('<rect x="{:g}" y="{:g}" width="{:g}" height="{:g}" class="{}"><title>{}</title></rect>').format(
        round(x, 2), round(y, 2), round(size[0], 2), round(size[1], 2), css, title
    )


def strip(hosts: Sequence[HostPlan], when: str) -> Markup:
    """A cell a host, coloured by the busiest hour's CPU reservation; hollow where it is off."""
    cells = []
    for index, host in enumerate(hosts):
        state = host.before if when == "before" else host.after
        line, column = divmod(index, STRIP_COLUMNS)
        css, text = _cell(state)
        cells.append(_rect(column * _PITCH + 1, line * _PITCH + 1, (_CELL, _CELL), css, f"{host.name} {when}: {text}"))
    lines = -(-len(hosts) // STRIP_COLUMNS)
    return _svg(STRIP_COLUMNS * _PITCH, lines * _PITCH, f"Hosts {when}", cells, "strip")


def _cell(state: HostState) -> tuple[str, str]:
    if not state.on:
        return "off", "off"
    cpu, memory = peak(state.cpu_permille), peak(state.memory_permille)
    return level(cpu), f"CPU {format_permille(cpu)}, memory {format_permille(memory)}, runs {state.workloads:,}"


def meter(before: int, after: int, name: str) -> Markup:
    """Two bars, before above after, on a track that ends at 100 % of the allocatable capacity."""
    parts = []
    for y, height, permille, usual in ((0, 4, before, "was"), (6, 8, after, "now")):
        css = "over" if permille > 1000 else usual
        title = f"{name} {'before' if y == 0 else 'after'}: {format_permille(permille)}"
        parts.append(_rect(0, y, (_METER_WIDTH, height), "track", title))
        parts.append(_rect(0, y, (min(permille, 1000) / 1000 * _METER_WIDTH, height), css, title))
    label = f"{name}: {format_permille(before)} before, {format_permille(after)} after"
    return _svg(_METER_WIDTH, 14, label, parts, "meter")


def heat(series: Sequence[int]) -> Markup:
    """A cell an hour of the day, coloured by the CPU reservation; one number counts for the whole day."""
    hours = tuple(series) if len(series) > 1 else tuple(series) * 24
    cells = [
        _rect(
            hour * _HOUR_WIDTH, 0, (_HOUR_WIDTH - 1, 14), level(permille), f"{hour:02d}:00 {format_permille(permille)}"
        )
        for hour, permille in enumerate(hours)
    ]
    return _svg(
        max(len(hours), 1) * _HOUR_WIDTH, 14, f"CPU by hour, at most {format_permille(peak(hours))}", cells, "heat"
    )


def bar(share: float, css: str, title: str, width: int = 220) -> Markup:
    """One bar on a track."""
    filled = max(0.0, min(share, 1.0)) * width
    return _svg(
        width, 10, title, (_rect(0, 0, (width, 10), "track", title), _rect(0, 0, (filled, 10), css, title)), "bar"
    )


def pair(before: float, after: float, title: str) -> Markup:
    """Shares of the longest bar in a table, before above after."""
    parts = [
        _rect(0, y, (max(0.0, min(share, 1.0)) * _METER_WIDTH, height), css, title)
        for y, height, share, css in ((0, 5, before, "was"), (7, 7, after, "now"))
    ]
    return _svg(_METER_WIDTH, 14, title, parts, "meter")


def swatch(css: str, title: str) -> Markup:
    """One cell for a legend."""
    return _svg(_CELL, _CELL, title, (_rect(1, 1, (_CELL - 2, _CELL - 2), css, title),), "swatch")


def scale() -> Markup:
    """The colour scale."""
    step = 100 // LEVELS
    cells = [
        _rect(index * 22, 0, (22, 12), f"h{index}", f"{index * step} to {(index + 1) * step} %")
        for index in range(LEVELS)
    ]
    return _svg(22 * LEVELS, 12, "Colour scale from 0 to 100 %", cells, "scale")


@dataclass(frozen=True)
class _Side:
    """One column of nodes: where each begins, and how tall it is."""

    top: dict[str, float]
    height: dict[str, float]
    moves: dict[str, int]


def ribbons(flows: Sequence[Flow]) -> Markup:
    """Moves from operating system (left) to operating system (right), as broad as they are many."""
    least, most = _RIBBONS_HEIGHT
    tall = min(max(len(flows) * 30, least), most)
    left, right = _side(flows, lambda flow: flow.source, tall), _side(flows, lambda flow: flow.target, tall)
    per_move = tall / (sum(flow.moves for flow in flows) or 1)
    used_left, used_right = dict(left.top), dict(right.top)
    parts = []
    for flow in sorted(flows, key=lambda flow: (list(left.top).index(flow.source), list(right.top).index(flow.target))):
        broad = flow.moves * per_move
        parts.append(_ribbon(flow, used_left[flow.source], used_right[flow.target], broad))
        used_left[flow.source] += broad
        used_right[flow.target] += broad
    parts += _nodes(left, _LABEL_WIDTH - _NODE_WIDTH, "end", _LABEL_WIDTH - _NODE_WIDTH - 8)
    x = _RIBBONS_WIDTH - _LABEL_WIDTH
    parts += _nodes(right, x, "start", x + _NODE_WIDTH + 8)
    height = tall + (max(len(left.top), len(right.top), 1) - 1) * _NODE_GAP + 4
    return _svg(_RIBBONS_WIDTH, height, "Moves by operating system", parts, "ribbons")


def _side(flows: Sequence[Flow], of: Callable[[Flow], str], tall: float) -> _Side:
    moves: dict[str, int] = {}
    for flow in flows:
        moves[of(flow)] = moves.get(of(flow), 0) + flow.moves
    total = sum(moves.values()) or 1
    height = {name: number / total * tall for name, number in moves.items()}
    top, y = {}, 2.0
    for name in moves:
        top[name] = y
        y += height[name] + _NODE_GAP
    return _Side(top, height, moves)


def _ribbon(flow: Flow, y0: float, y1: float, broad: float) -> Markup:
    x0, x1 = _LABEL_WIDTH, _RIBBONS_WIDTH - _LABEL_WIDTH
    middle = (x0 + x1) / 2
    path = (
        f"M{x0} {y0:.1f}C{middle:g} {y0:.1f} {middle:g} {y1:.1f} {x1} {y1:.1f}V{y1 + broad:.1f}"
        f"C{middle:g} {y1 + broad:.1f} {middle:g} {y0 + broad:.1f} {x0} {y0 + broad:.1f}Z"
    )
    title = (
        f"{flow.source} → {flow.target}: {count(flow.moves, 'move')} as "
        f"{format_isolation(flow.isolation, flow.moves)}, {format_bytes(flow.copy_bytes)}"
    )
    return Markup('<path d="{}" class="{}"><title>{}</title></path>').format(
        path, isolation_class(flow.isolation), title
    )


def _short(name: str) -> str:
    """What fits beside a picture; the tooltip has the whole name."""
    return name if len(name) <= _LABEL_LETTERS else name[: _LABEL_LETTERS - 1] + "…"


def _nodes(side: _Side, x: float, anchor: str, text_x: float) -> list[Markup]:
    parts = []
    for name, top in side.top.items():
        title = f"{name}: {count(side.moves[name], 'move')}"
        parts.append(_rect(x, top, (_NODE_WIDTH, max(side.height[name], 1)), "node", title))
        parts.append(
            Markup('<text x="{:g}" y="{:.1f}" text-anchor="{}">{} <tspan class="faint">{:,}</tspan></text>').format(
                text_x, top + side.height[name] / 2 + 4, anchor, _short(name), side.moves[name]
            )
        )
    return parts

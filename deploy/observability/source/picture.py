"""Draws a dashboard's panels as an SVG page, from what a running Prometheus answers to their queries. Not Grafana: its likeness, for the docs.

`python -m deploy.observability.source.picture http://127.0.0.1:9090 overview > overview.html`, then a screenshot of that by a browser.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[1] / "dashboards"
UNIT_PIXELS: Final = (66, 34)
"""Of one column and one row of Grafana's grid of 24 columns."""
COLOURS: Final = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#c8f2c2")
TIMEOUT_SECONDS: Final = 20.0
SPAN_SECONDS: Final = 600
STEP_SECONDS: Final = 5

Series = tuple[str, list[tuple[float, float]]]


def main(prometheus: str, name: str) -> str:
    """The page."""
    panels = json.loads((FOLDER / f"meetai-{name}.json").read_text())["panels"]
    drawn = "".join(_panel(prometheus, panel) for panel in panels)
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * UNIT_PIXELS[1]
    style = "body{margin:0;background:#111217;font-family:sans-serif}text{font-size:11px;fill:#ccccdc}.t{font-size:13px;font-weight:bold}"
    width = 24 * UNIT_PIXELS[0]
    return f'<!doctype html><style>{style}</style><svg width="{width}" height="{height}">{drawn}</svg>\n'


def _panel(prometheus: str, panel: dict[str, Any]) -> str:
    place = panel["gridPos"]
    x, y = place["x"] * UNIT_PIXELS[0], place["y"] * UNIT_PIXELS[1]
    w, h = place["w"] * UNIT_PIXELS[0] - 8, place["h"] * UNIT_PIXELS[1] - 8
    if panel["type"] == "row":
        return f'<text class="t" x="{x + 8}" y="{y + 22}">{escape(panel["title"])}</text>'
    series = [one for target in panel["targets"] for one in _ask(prometheus, target)]
    unit = panel["fieldConfig"]["defaults"].get("unit", "")
    inside = _number(series, panel, unit, w, h) if panel["type"] == "stat" else _lines(series, unit, w, h)
    return (
        f'<g transform="translate({x},{y})"><rect width="{w}" height="{h}" fill="#181b1f" stroke="#2c2f36"/>{inside}'
        f'<text class="t" x="8" y="18">{escape(panel["title"])}</text></g>'
    )


def _ask(prometheus: str, target: dict[str, Any]) -> Iterator[Series]:
    """What Grafana would ask, with its variables filled in."""
    expr = target["expr"].replace("$__rate_interval", "1m").replace("$namespace", ".*")
    now = time.time()
    query = {"query": expr, "start": now - SPAN_SECONDS, "end": now, "step": STEP_SECONDS}
    url = f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - a Prometheus that the caller names
        found = json.load(answer)["data"]["result"]
    for one in found:
        legend = target.get("legendFormat") or ""
        for label, value in one["metric"].items():
            legend = legend.replace("{{" + label + "}}", value)
        points = [(float(at), float(value)) for at, value in one["values"] if value != "NaN"]
        if points:
            yield legend, points


def _number(series: Sequence[Series], panel: dict[str, Any], unit: str, w: int, h: int) -> str:
    if not series:
        return f'<text x="{w // 2}" y="{h // 2}" text-anchor="middle">No data</text>'
    value = series[0][1][-1][1]
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    colour = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
    fill = {"green": "#56a64b", "red": "#e02f44"}[colour]
    return (
        f'<rect x="1" y="26" width="{w - 2}" height="{h - 27}" fill="{fill}"/>'
        f'<text x="{w // 2}" y="{h // 2 + 26}" text-anchor="middle" style="font-size:40px;fill:white">{_shown(value, unit)}</text>'
    )


def _lines(series: Sequence[Series], unit: str, w: int, h: int) -> str:
    left, top, bottom = 52, 30, h - 40
    now = time.time()
    most = max((value for _, points in series for _, value in points), default=0.0) * 1.1 or 1.0
    drawn = [
        f'<line x1="{left}" x2="{w - 8}" y1="{y}" y2="{y}" stroke="#2c2f36"/>'
        f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{_shown(most * share, unit)}</text>'
        for share in (0.0, 0.5, 1.0)
        for y in (round(bottom - (bottom - top) * share),)
    ]
    for at, (legend, points) in enumerate(series):
        colour = COLOURS[at % len(COLOURS)]
        path = " ".join(
            f"{left + (w - 8 - left) * (1 - (now - when) / SPAN_SECONDS):.1f},{bottom - (bottom - top) * value / most:.1f}"
            for when, value in points
        )
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        x, y = left + (at % 4) * ((w - left) // 4), h - 22 + 13 * (at // 4)
        if at < 8:
            drawn.append(f'<text x="{x}" y="{y}" style="fill:{colour}">{escape(legend[:22])}</text>')
    if not series:
        drawn.append(f'<text x="{w // 2}" y="{h // 2}" text-anchor="middle">No data</text>')
    return "".join(drawn)


def _shown(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value * 100:.4g} %"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"
    return f"{value:.3g}"


if __name__ == "__main__":
    sys.stdout.write(main(*sys.argv[1:3]))

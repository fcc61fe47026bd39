"""What a dashboard is made of, and the JSON of it by Grafana's own SDK.

Every query names the namespace, and every panel the data source, that are chosen at the top of the dashboard: the files fit any Grafana.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueColorMode, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)
from msgspec import Struct

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${source}")
N: Final = 'namespace=~"$namespace"'
RATE: Final = "[$__rate_interval]"


class Query(Struct, frozen=True):
    """One line, or several, of a panel; `legend` is Grafana's, with `{{label}}`."""

    expr: str
    legend: str = ""


class Graph(Struct, frozen=True):
    """Lines over time."""

    title: str
    about: str
    unit: str
    queries: tuple[Query, ...]


class Number(Struct, frozen=True):
    """One number that is good or bad: red from `red` on, or up to it where less is worse."""

    title: str
    about: str
    unit: str
    expr: str
    red: float
    less_is_worse: bool = False


class Section(Struct, frozen=True):
    """A row of a dashboard."""

    title: str
    panels: tuple[Graph | Number, ...]


def rate(metric: str, by: str = "", labels: str = "") -> str:
    """A counter a second, summed up."""
    selected = f"{N},{labels}" if labels else N
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{selected}}}{RATE}))"


def quantiles(histogram: str, labels: str = "") -> tuple[Query, ...]:
    """p50 and p99 of a histogram."""
    buckets = rate(f"{histogram}_bucket", "le", labels)
    return tuple(Query(f"histogram_quantile({q / 100}, {buckets})", f"p{q}") for q in (50, 99))


def http_section() -> Section:
    """What every service's HTTP side tells."""
    failed = rate("meetai_http_request_seconds_count", "route", 'status=~"5.."')
    return Section(
        "HTTP",
        (
            Graph(
                "Requests",
                "By route and status.",
                "reqps",
                (Query(rate("meetai_http_request_seconds_count", "route, status"), "{{route}} {{status}}"),),
            ),
            Graph(
                "Time to answer",
                "All routes but the platform's.",
                "s",
                quantiles("meetai_http_request_seconds", 'route!~"/livez|/readyz|/metrics"'),
            ),
            Graph("Answers 5xx", "By route.", "reqps", (Query(failed, "{{route}}"),)),
        ),
    )


def dashboard_json(uid: str, title: str, sections: Sequence[Section]) -> str:
    """One dashboard, as Grafana imports it."""
    dashboard = (
        Dashboard(title)
        .uid(uid)
        .tags(["meetai"])
        .readonly()
        .time("now-1h", "now")
        .refresh("30s")
        .timezone("utc")
        .with_variable(DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(
            QueryVariable("namespace")
            .label("Namespace")
            .datasource(SOURCE)
            .query("label_values(meetai_readiness, namespace)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .include_all(True)
            .all_value(".*")
        )
        .link(
            DashboardLink("MeetAI")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["meetai"])
            .as_dropdown(True)
            .keep_time(True)
        )
    )
    for section in sections:
        if section.title:
            dashboard.with_row(Row(section.title))
        for panel in section.panels:
            dashboard.with_panel(_panel(panel, width(section.panels)))
    return JSONEncoder(sort_keys=True, indent=2).encode(dashboard.build()) + "\n"


def width(panels: Sequence[Graph | Number]) -> int:
    """Of each panel in a row of these, out of Grafana's 24."""
    return 24 // min(len(panels), 4 if len(panels) % 3 else 3)


def _panel(panel: Graph | Number, columns: int) -> TimeSeries | Stat:
    if isinstance(panel, Number):
        steps = (
            [Threshold(None, "red"), Threshold(panel.red, "green")]
            if panel.less_is_worse
            else [Threshold(None, "green"), Threshold(panel.red, "red")]
        )
        return (
            Stat()
            .title(panel.title)
            .description(panel.about)
            .unit(panel.unit)
            .height(7)
            .span(columns)
            .datasource(SOURCE)
            .color_mode(BigValueColorMode.BACKGROUND)
            .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
            .with_target(Dataquery().expr(panel.expr).instant().ref_id("A").datasource(SOURCE))
        )
    graph = (
        TimeSeries()
        .title(panel.title)
        .description(panel.about)
        .unit(panel.unit)
        .min(0)
        .height(7)
        .span(columns)
        .datasource(SOURCE)
        .legend(
            VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
        )
    )
    for at, query in enumerate(panel.queries):
        target = Dataquery().expr(query.expr).legend_format(query.legend).exemplar(True).ref_id("ABCDEFGH"[at])
        graph.with_target(target.datasource(SOURCE))
    return graph

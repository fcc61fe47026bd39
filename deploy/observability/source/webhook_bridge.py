"""webhook-bridge's dashboard."""

from __future__ import annotations

from typing import Final

from deploy.observability.source.panels import Graph, N, Query, Section, http_section, quantiles, rate

SECTIONS: Final = (
    Section(
        "From webhook to event",
        (
            Graph(
                "Webhooks",
                "By LiveKit's event and outcome.",
                "cps",
                (Query(rate("meetai_bridge_webhooks_total", "event, outcome"), "{{event}} {{outcome}}"),),
            ),
            Graph(
                "Stored to delivered",
                "By who told it: webhook.",
                "s",
                quantiles("meetai_bridge_event_delivery_seconds", 'source="webhook"'),
            ),
            Graph(
                "Attempts to deliver",
                "By outcome.",
                "cps",
                (Query(rate("meetai_bridge_event_attempts_total", "outcome"), "{{outcome}}"),),
            ),
            Graph(
                "Not delivered",
                "Pending, or given up.",
                "short",
                (Query(f"max by (state) (meetai_bridge_undelivered_events{{{N}}})", "{{state}}"),),
            ),
            Graph("Oldest pending", "", "s", (Query(f"max(meetai_bridge_oldest_pending_seconds{{{N}}})", "oldest"),)),
            Graph(
                "Events stream",
                "Entries that wait to be read.",
                "short",
                (Query(f"max(meetai_bridge_stream_lag_entries{{{N}}})", "waiting"),),
            ),
        ),
    ),
    Section(
        "Rooms and agents",
        (
            Graph(
                "Rooms",
                "At the leader's last look.",
                "short",
                (Query(f"sum by (state) (meetai_bridge_rooms{{{N}}})", "{{state}}"),),
            ),
            Graph(
                "Agents missing",
                "",
                "short",
                (Query(f"sum by (state) (meetai_bridge_agents_missing{{{N}}})", "{{state}}"),),
            ),
            Graph(
                "Mended",
                "What LiveKit didn't do by itself.",
                "cps",
                (Query(rate("meetai_bridge_rooms_mended_total", "what"), "{{what}}"),),
            ),
        ),
    ),
    http_section(),
)

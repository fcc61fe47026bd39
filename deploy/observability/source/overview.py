"""The overview: objectives and their budgets, what is lost, and the way of a line."""

from __future__ import annotations

from typing import Final

from deploy.observability.source.panels import Graph, N, Number, Query, Section, quantiles, rate


def objective(name: str, title: str, budget: float) -> tuple[Number, Graph]:
    """What is left of an SLO's budget, and how fast it burns."""
    errors = f"meetai:{name}_errors:ratio_rate"
    left = f"1 - avg_over_time({errors}1h{{{N}}}[30d]) / {budget}"
    burning = tuple(Query(f"{errors}{window}{{{N}}} / {budget}", window) for window in ("5m", "1h", "6h", "3d"))
    return (
        Number(
            f"{title}: budget left",
            "Of 30 days; 0 is the objective missed.",
            "percentunit",
            left,
            0.0,
            less_is_worse=True,
        ),
        Graph(
            f"{title}: burn rate",
            "1 uses up the budget in 30 days; pages begin at 14.4 over an hour.",
            "short",
            burning,
        ),
    )


SECTIONS: Final = (
    Section("Objectives", (*objective("caption", "Captions", 0.01), *objective("durable", "Time to durable", 0.01))),
    Section("", (*objective("webhook", "Webhook to event", 0.005), *objective("token", "Letting people in", 0.001))),
    Section(
        "Nothing lost",
        (
            Number(
                "Lost lines, last hour",
                "Objective: none.",
                "short",
                f"sum(meetai:lost_lines:increase1h{{{N}}}) or vector(0)",
                1,
            ),
            Number(
                "Dead letters",
                "Lines that wait for a person.",
                "short",
                f"max(meetai_ingest_dead_letters_kept{{{N}}})",
                1,
            ),
            Number(
                "Dead events",
                "Events that were given up.",
                "short",
                f'max(meetai_bridge_undelivered_events{{{N},state="dead"}})',
                1,
            ),
            Number(
                "Meetings without an agent",
                "People are there, and nobody transcribes them.",
                "short",
                f"sum(meetai_bridge_agents_missing{{{N}}})",
                1,
            ),
        ),
    ),
    Section(
        "The way of a line",
        (
            Graph(
                "Words to final", "Recogniser, silence included.", "s", quantiles("meetai_agent_recognition_seconds")
            ),
            Graph("Final to caption", "In the room, both channels.", "s", quantiles("meetai_agent_caption_seconds")),
            Graph(
                "Words to COMMIT",
                "By the agent's and ingest's clocks.",
                "s",
                quantiles("meetai_ingest_durable_seconds"),
            ),
            Graph(
                "Webhook to event", "From our 200 to Inngest's.", "s", quantiles("meetai_bridge_event_delivery_seconds")
            ),
        ),
    ),
    Section(
        "How much",
        (
            Graph(
                "Meetings",
                "Served now, and at most.",
                "short",
                (
                    Query(f"sum(meetai_agent_jobs{{{N}}})", "meetings"),
                    Query(f"sum(meetai_agent_jobs_max{{{N}}})", "at most"),
                ),
            ),
            Graph(
                "Lines",
                "Given by agents, and stored.",
                "cps",
                (
                    Query(rate("meetai_agent_lines_total"), "given"),
                    Query(rate("meetai_ingest_lines_committed_total"), "stored"),
                ),
            ),
            Graph("Tokens", "By role.", "cps", (Query(rate("meetai_tokens_minted_total", "role"), "{{role}}"),)),
            Graph(
                "Webhooks",
                "By outcome.",
                "cps",
                (Query(rate("meetai_bridge_webhooks_total", "outcome"), "{{outcome}}"),),
            ),
        ),
    ),
)

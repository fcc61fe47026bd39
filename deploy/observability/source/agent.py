"""The agent's dashboard."""

from __future__ import annotations

from typing import Final

from deploy.observability.source.panels import Graph, N, Query, Section, quantiles, rate

SECTIONS: Final = (
    Section(
        "Load",
        (
            Graph(
                "Meetings by worker",
                "At meetai_agent_jobs_max it takes no more.",
                "short",
                (Query(f"meetai_agent_jobs{{{N}}}", "{{instance}}"),),
            ),
            Graph(
                "Workers that LiveKit knows",
                "Those that drain are not among them.",
                "short",
                (Query(f"sum(meetai_agent_registered{{{N}}})", "registered"),),
            ),
            Graph(
                "Spools",
                "What the stream hasn't confirmed, on the workers' disks.",
                "bytes",
                (Query(f"meetai_agent_spool_bytes{{{N}}}", "{{instance}}"),),
            ),
        ),
    ),
    Section(
        "Captions and lines",
        (
            Graph(
                "Words to final", "Recogniser, silence included.", "s", quantiles("meetai_agent_recognition_seconds")
            ),
            Graph("Final to caption", "In the room, both channels.", "s", quantiles("meetai_agent_caption_seconds")),
            Graph(
                "Lines and batches",
                "",
                "cps",
                (
                    Query(rate("meetai_agent_lines_total"), "lines"),
                    Query(rate("meetai_agent_batches_total", "kind"), "{{kind}}"),
                ),
            ),
        ),
    ),
    Section(
        "What goes wrong",
        (
            Graph(
                "Lost or in danger",
                "Lines that nothing could take, speech without words, spools that failed.",
                "cps",
                (
                    Query(rate("meetai_agent_lines_lost_total"), "lines lost"),
                    Query(rate("meetai_agent_speech_unrecognised_total"), "speech unrecognised"),
                    Query(rate("meetai_agent_spool_failures_total"), "spool failures"),
                ),
            ),
            Graph(
                "Tried again",
                "Attempts that the stream didn't confirm, recognisers that broke off, captions dropped.",
                "cps",
                (
                    Query(rate("meetai_agent_attempts_failed_total"), "stream"),
                    Query(rate("meetai_agent_recogniser_failures_total", "name"), "{{name}}"),
                    Query(rate("meetai_agent_captions_dropped_total"), "captions dropped"),
                ),
            ),
            Graph(
                "Questions and proposals",
                "By outcome.",
                "cps",
                (
                    Query(rate("meetai_agent_questions_total", "outcome"), "question {{outcome}}"),
                    Query(rate("meetai_agent_proposals_total", "outcome"), "proposal {{outcome}}"),
                ),
            ),
        ),
    ),
)

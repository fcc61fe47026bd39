"""The token service's dashboard."""

from __future__ import annotations

from typing import Final

from deploy.observability.source.panels import Graph, Query, Section, http_section, quantiles, rate

SECTIONS: Final = (
    Section(
        "Tokens",
        (
            Graph("Minted", "By role.", "cps", (Query(rate("meetai_tokens_minted_total", "role"), "{{role}}"),)),
            Graph("Time to mint", "LiveKit's part included.", "s", quantiles("meetai_token_minting_seconds")),
            Graph(
                "Calls to LiveKit",
                "By call and outcome.",
                "cps",
                (Query(rate("meetai_livekit_call_seconds_count", "call, outcome"), "{{call}} {{outcome}}"),),
            ),
        ),
    ),
    http_section(),
)

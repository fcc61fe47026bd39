"""What the OpenAPI document says of every route here beside its own answers: how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from litestar.openapi.datastructures import ResponseSpec

from meetai_servicekit.problems import described_problems

PROBLEMS: Final[Mapping[int, ResponseSpec]] = described_problems(
    {
        400: "A parameter is not acceptable; `errors` names it",
        401: "No service key and no participant's token that is valid now",
        403: "A credential that doesn't open this meeting's transcript, whether there is one or not",
        503: "The store is away; try again after `Retry-After` seconds",
    }
)
ERASED: Final[Mapping[int, ResponseSpec]] = described_problems({410: "The meeting was erased"})

"""Webhooks that LiveKit's server SDK for JavaScript signs."""

from __future__ import annotations

import pytest
from tests.integration.webhook_bridge.conftest import Shared
from tests.servers.node import needed_node, run_script
from tests.unit.webhook_bridge.webhooks import API_KEY, API_SECRET, encoded, room_finished


@pytest.mark.parametrize(("ttl_seconds", "status"), [(300, 200), (6 * 3600, 401)])
def test_a_webhook_is_believed_when_the_javascript_sdk_signed_it(shared: Shared, ttl_seconds: int, status: int) -> None:
    """Unless its token lives longer than a webhook's may: the SDK's own default is 6 hours."""
    body = encoded(room_finished(name="weekly é 😀"))
    made = run_script(
        needed_node(),
        "sign_webhook.mjs",
        BODY=body.decode(),
        TTL_SECONDS=str(ttl_seconds),
        API_KEY=API_KEY,
        API_SECRET=API_SECRET,
    )
    signed = made["token"]
    assert shared.replica.deliver_body(body, signed).status_code == status
    assert shared.replica.deliver_body(body + b" ", signed).status_code == 401

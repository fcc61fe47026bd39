"""What webhook-bridge's bench measures: a webhook's way in, beside FastAPI with livekit-api's WebhookReceiver."""

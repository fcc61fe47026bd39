"""How fast the token service is, beside what people write with LiveKit's SDKs."""

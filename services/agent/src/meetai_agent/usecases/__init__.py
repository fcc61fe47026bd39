"""What the agent does, over ports: transcribe, deliver, replay."""

"""One module for each thing outside: LiveKit's rooms, LiveKit's tokens, an OpenID provider's keys and people."""

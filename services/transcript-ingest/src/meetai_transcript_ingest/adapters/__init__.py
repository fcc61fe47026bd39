"""The ports, each on the outside system that it names. No adapter knows another."""

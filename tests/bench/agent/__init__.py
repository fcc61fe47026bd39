"""What the agent costs: from a recogniser's final to a listener, in memory, and in cores."""

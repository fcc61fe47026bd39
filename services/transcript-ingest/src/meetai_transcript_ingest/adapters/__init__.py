"""The ports, each on the outside system that its file is named after."""

"""One file for each outside system. Only these talk to them."""

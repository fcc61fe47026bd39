"""A long meeting: does memory stay flat, and is everything that was captioned stored? `make soak`."""

"""How fast it is, beside peers that do the same in the same run: `make bench`.

Nothing here asserts a time: a figure depends on the machine, so each is printed beside its peer's and the goal. What is
stored is asserted, here and in the short run that is a test.
"""

"""A release: wheels, source distributions and charts, what they are made of, and what was checked.

`make release VERSION=…` writes `dist/`. What can't be had here (a network, helm) is named and left out (ADR 0097).
"""

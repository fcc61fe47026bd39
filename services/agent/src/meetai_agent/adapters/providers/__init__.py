"""Providers by setting, a file for each kind: what `provider/model` names, what it needs, and how it is made.

What a provider needs is imported only when a setting names it, and looked for at start-up.
"""

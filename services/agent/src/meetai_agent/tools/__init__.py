"""What the agent can do for people beside listening and talking. A tool that acts asks a person first (ADR 0035).

`registry` lists the tools; each is one file, beside what it alone needs.
"""

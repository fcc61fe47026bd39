"""The documentation site: gathers the repository's Markdown, generates the references, builds all of it strictly.

`python -m deploy.docs.site` (or `make docs`) writes `.local/site`. The pages are written for a reader of the repository;
what the site needs beside that (places in the navigation, links that lead to pages) is worked out here (ADR 0095).
"""

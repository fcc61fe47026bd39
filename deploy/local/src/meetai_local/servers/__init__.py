"""The servers that the services stand on, one file each: where its program comes from, and how it is run here."""

"""The source of the Grafana dashboards. `__main__` writes them."""

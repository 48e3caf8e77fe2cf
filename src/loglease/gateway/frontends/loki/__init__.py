"""The Loki-compatible API: what Grafana and logcli ask, answered from redacted lines."""

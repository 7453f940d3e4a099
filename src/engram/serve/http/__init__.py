"""HTTP: limits, connections, errors, logs and metrics, independent of what a request means."""

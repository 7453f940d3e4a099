"""Times that a query means."""

"""Reading of the times that a text means."""

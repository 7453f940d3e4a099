"""The proxy in front of a model's API."""

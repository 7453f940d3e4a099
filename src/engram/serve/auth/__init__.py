"""Access to the server: keys, the headers that carry them, and the rights of each key."""

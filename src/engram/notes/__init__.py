"""Notes: what recall found, chosen, worded and packed for a prompt."""

"""Notes: recalled engrams, chosen, worded and packed for a prompt."""

"""The index of a memory in a local folder, or in RAM."""

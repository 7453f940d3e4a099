"""How good and how fast, against references measured in the same run, from one command (`python -m bench`).

Uses Engram through its public names only: there is no door here that a user does not have.
"""

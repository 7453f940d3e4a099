"""Proposals: what a language model says of statements that exist: slots, values, what closed what, titles of sessions.

Optional. A model writes no sentence: of its replies only ids of sentences, places of verbatim values and names of slots
are kept, each of them checked. Without a model, or where one fails, everything else of `reflection` works as before.
"""

"""Long stories generated from a seed, with questions on the state at a point.

`forms` reads the texts of a story, `world` simulates what happens, `prose` writes sentences, and `telling` makes turns
and questions of them. Nothing here knows `Memory`.
"""

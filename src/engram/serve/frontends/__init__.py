"""What agents and front ends put around the words of their users, and the requests that they send for themselves.

`table` holds what is known, as data; `reading`, `tasks` and `messages` apply it; `strip` holds the patterns of an
operator; `framing` compares two forms of one message where no row of the table knows the template. Text in, text out:
does not know memory, connections, or how conversations are matched.
"""

"""Who may call the server: keys, the headers that carry them, and what each key allows."""

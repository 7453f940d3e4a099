"""Import an export of ChatGPT or Claude, LoCoMo's JSON, or JSON Lines; then ask about it.

Install:  pip install engram-layer
Run:      python examples/import_export.py chatgpt-export.zip "Which books did I ask about?"
Without arguments it writes three lines of JSON Lines and imports those. It creates example.db in the current folder.
"""

import subprocess
import sys
from pathlib import Path

from engram import Memory

LINES = """\
{"text": "I started a pottery course.", "session": "spring", "at": "2026-04-11T18:00:00Z"}
{"text": "What do you make there?", "session": "spring", "role": "assistant", "at": "2026-04-11T18:00:05Z"}
{"text": "A blue teapot, it leaks a little.", "session": "spring", "at": "2026-04-11T18:01:00Z"}
"""

path, question = sys.argv[1:] or ("example.jsonl", "What did I make at the pottery course?")
if not sys.argv[1:]:
    Path(path).write_text(LINES, encoding="utf-8")

# Importing the same file again adds nothing: every imported turn has an id that is derived from its content.
for _ in range(2):
    subprocess.run([sys.executable, "-m", "engram", "import", path, "--memory", "example.db"], check=True)

with Memory("example.db") as memory:
    for hit in memory.recall(question, limit=3):
        print(f"{hit.engram.at:%Y-%m-%d}  {hit.engram.text}")

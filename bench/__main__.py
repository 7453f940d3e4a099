"""`python -m bench`."""

import typer

from bench.main import bench

if __name__ == "__main__":
    typer.run(bench)

"""Two servers in this process for all tests of the proxy, one for each relay, and a caller of each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serve.conftest import LocalServer
from tests.serve.proxied import Caller, running
from tests.serve.upstream import Upstream

Place = tuple[LocalServer, Upstream]

RELAYS = ("fast", "plain")


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    """A server with each relay, and its scripted model."""
    folder = tmp_path_factory.mktemp("proxy")
    with running(folder / "fast", relay="fast") as fast, running(folder / "plain", relay="plain") as plain:
        yield {"fast": fast, "plain": plain}


@pytest.fixture
def ana(places: dict[str, Place]) -> Iterator[Caller]:
    """A caller with a namespace of its own, by the fast relay."""
    with Caller(*places["fast"]) as caller:
        yield caller


@pytest.fixture(params=RELAYS)
def relayed(places: dict[str, Place], request: pytest.FixtureRequest) -> Iterator[Caller]:
    """A caller by each relay."""
    with Caller(*places[request.param]) as caller:
        yield caller

"""The whole server in this process, for the tests that speak HTTP to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.in_process import Http, Service, serving


@pytest.fixture
async def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


@pytest.fixture
async def http(service: Service) -> AsyncIterator[Http]:
    async with serving(service) as http:
        yield http

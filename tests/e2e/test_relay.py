"""A real browser that reaches the server through a TURN server only, or through published ports only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect

from tests.rigs.browser import until
from tests.rigs.impairment import strip_offer
from tests.rigs.net import free_udp_ports
from tests.rigs.port_forward import running_forwarder
from tests.rigs.skeleton import RECORD_MESSAGES, fits
from tests.rigs.turn import SECRET, TurnServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.async_api import Page, Route

    from tests.conftest import OpenPage
    from tests.rigs.clips import Clips
    from tests.rigs.server import StreamerServer

pytestmark = pytest.mark.e2e

SELECTED_PAIR = """
(async () => {
  const stats = [...(await window.peersInTest.at(-1).getStats()).values()];
  const transport = stats.find(({ type }) => type === "transport");
  const of = (id) => stats.find((each) => each.id === id);
  const pair = of(transport.selectedCandidatePairId);
  const [local, remote] = [of(pair.localCandidateId), of(pair.remoteCandidateId)];
  return {
    local: local.candidateType, protocol: local.relayProtocol ?? local.protocol,
    remote: remote.address, remotePort: remote.port,
  };
})()
"""


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[TurnServer]:
    with TurnServer(tmp_path) as turn:
        yield turn


def relay_only(turn: TurnServer, transport: str = "udp", secret: str = SECRET) -> str:
    return f"""
[webrtc]
ice_transport_policy = "relay"
ice_servers = [{{ urls = ["{turn.url(transport)}"], secret = "{secret}" }}]
"""


async def start(page: Page) -> None:
    await page.add_init_script(RECORD_MESSAGES)
    await page.reload()
    await page.click("#start")


async def is_live(page: Page) -> Any:
    """Waits until it is, with poses; how it got there."""
    await expect(page.locator("#state")).to_have_attribute("data-state", "live")
    await until(page, "window.messagesInTest.filter((m) => m.poses?.length).length > 30")
    return await page.evaluate(SELECTED_PAIR)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_webcam_through_the_turn_server_only_is_annotated(
    server: Callable[..., StreamerServer],
    open_page: OpenPage,
    clips: Clips,
    coturn: TurnServer,
    transport: str,
) -> None:
    running = server(relay_only(coturn, transport))
    page, watch = await open_page(f"{running.url}/webcam", clips.person_camera)
    await start(page)

    pair = await is_live(page)

    assert (pair["local"], pair["protocol"]) == ("relay", transport)
    there, _ = await fits(page)
    assert there > 0.85
    assert SECRET not in await page.evaluate("fetch('/api/v1/ice').then((it) => it.text())")
    watch.assert_clean()


async def test_wrong_secret_is_said_on_the_page_while_it_tries_again(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips, coturn: TurnServer
) -> None:
    running = server(relay_only(coturn, secret="not the one of coturn"))
    page, _ = await open_page(f"{running.url}/webcam", clips.person_camera)
    await start(page)

    state = page.locator("#state")
    await expect(state).to_have_attribute("data-state", "reconnecting")
    await expect(page.locator("body")).to_contain_text("video blocked")
    await expect(page.locator("body")).to_contain_text("refuses this server's credentials")
    await expect(page.locator("body")).to_contain_text("trying again")


async def test_webcam_through_published_ports_is_annotated(
    server: Callable[..., StreamerServer], open_page: OpenPage, clips: Clips
) -> None:
    """What compose.yaml does: the container's own address is not told, the host's forwards."""
    ports = free_udp_ports(4)
    running = server(
        f"""
[webrtc]
udp_ports = "{ports[0]}-{ports[-1]}"
addresses = ["127.0.0.1/32"]
advertise = ["127.0.0.2"]
"""
    )
    async with running_forwarder("127.0.0.2", "127.0.0.1", ports) as forwarder:
        page, watch = await open_page(f"{running.url}/webcam", clips.person_camera)
        await page.route(re.compile(r"/webcam$"), without_candidates)
        await start(page)

        pair = await is_live(page)

        assert pair["remote"] == "127.0.0.2" and pair["remotePort"] in ports
        assert forwarder.clients > 0
        watch.assert_clean()


async def without_candidates(route: Route) -> None:
    """So that the server can't reach the browser but through the port that it has used."""
    offer = route.request.post_data
    await route.continue_(post_data=strip_offer(offer) if offer else None)

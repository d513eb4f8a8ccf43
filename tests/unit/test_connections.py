"""Who may be connected, and who must go first: by a clock that a test turns."""

from collections.abc import Callable

import pytest

from streamer.config import LimitsConfig
from streamer.errors import LimitReached, TooManyRequests
from streamer.server.connections import LAST_S, RESERVE, Connection, Connections, Phase
from tests.unit.test_rates import Clock

LIMITS = LimitsConfig(
    max_connections=4, max_connections_per_client=2, header_timeout_s=5, idle_timeout_s=75
)


class Room:
    """Connections, and what each was told: "go" or "cut off"."""

    def __init__(self, proxies: tuple[str, ...] = ()) -> None:
        self.clock = Clock()
        self.all = Connections(LIMITS, proxies, self.clock)
        self.told: dict[str, list[str]] = {}

    def enter(self, name: str, address: str, phase: Phase = Phase.HEAD) -> Connection | None:
        self.clock.now_s += 0.001
        connection = self.all.admit(address, self._part(name))
        if connection is not None:
            self.all.enter(connection, phase)
        return connection

    def _part(self, name: str) -> Callable[[bool], None]:
        told = self.told[name] = []
        return lambda at_once: told.append("cut off" if at_once else "go")

    @property
    def gone(self) -> list[str]:
        return [name for name, told in self.told.items() if "cut off" in told]


def test_who_has_not_got_through_a_head_makes_room_first_then_who_idles_then_who_sends_a_body() -> (
    None
):
    room = Room()
    phases = (Phase.BODY, Phase.IDLE, Phase.HEAD, Phase.HEAD)
    for number, phase in enumerate(phases):
        room.enter(f"{phase.value} {number}", f"10.0.0.{number}", phase)
    for number in range(4):
        assert room.enter(f"new {number}", f"10.0.1.{number}", Phase.ANSWER)
    assert sorted(room.gone) == ["body 0", "head 2", "head 3", "idle 1"]
    assert len(room.all) == 4


def test_who_waits_for_an_answer_is_never_dropped_and_the_next_is_told_that_there_is_no_room() -> (
    None
):
    room = Room()
    for number in range(4):
        room.enter(f"{number}", f"10.0.0.{number}", Phase.ANSWER)
    new = room.enter("new", "10.0.1.1")
    assert new is not None and isinstance(new.refused, LimitReached)
    assert room.gone == []
    new.leave()
    room.all.enter(next(iter(room.all._all)), Phase.IDLE)
    again = room.enter("again", "10.0.1.1")
    assert again is not None and again.refused is None


def test_one_client_has_a_share_and_drops_its_own_only() -> None:
    room = Room()
    room.enter("other", "10.0.0.1", Phase.HEAD)
    for number in range(2):
        room.enter(f"own {number}", "10.0.0.2", Phase.HEAD)
    room.enter("own 2", "10.0.0.2", Phase.ANSWER)
    assert room.gone == ["own 0"]
    room.enter("own 3", "10.0.0.2", Phase.ANSWER)
    refused = room.enter("own 4", "10.0.0.2")
    assert refused is not None and isinstance(refused.refused, TooManyRequests)
    assert room.gone == ["own 0", "own 1"]


def test_hosts_of_one_ipv6_network_are_one_client() -> None:
    room = Room()
    for number in range(2):
        room.enter(f"{number}", f"2001:db8::{number + 1}", Phase.ANSWER)
    refused = room.enter("2", "2001:db8::ffff")
    assert refused is not None and isinstance(refused.refused, TooManyRequests)


def test_this_machine_and_proxies_have_no_share() -> None:
    room = Room(("10.9.0.0/16",))
    for address in ("127.0.0.1", "10.9.0.1"):
        for number in range(4):
            one = room.enter(f"{address} {number}", address, Phase.IDLE)
            assert one is not None and one.refused is None


def test_those_who_are_told_that_there_is_no_room_are_few() -> None:
    room = Room()
    for number in range(4):
        room.enter(f"{number}", f"10.0.0.{number}", Phase.ANSWER)
    for number in range(3 * RESERVE):
        room.enter(f"late {number}", f"10.0.1.{number}", Phase.ANSWER)
    assert len(room.all) == 4 + RESERVE
    for number in range(3 * RESERVE):
        room.enter(f"later {number}", f"10.0.2.{number}", Phase.HEAD)
    assert len(room.all) == 4 + RESERVE


def test_heads_and_idling_have_deadlines_but_a_proxys_idling_has_none() -> None:
    room = Room(("10.9.0.0/16",))
    for phase in (Phase.HEAD, Phase.IDLE, Phase.BODY, Phase.ANSWER):
        room.enter(phase.value, f"10.0.0.{len(room.told)}", phase)
    proxy = room.all
    room.clock.now_s += 5.0
    proxy.part_with_late()
    assert {name for name, told in room.told.items() if told} == {"head"}
    room.clock.now_s += LAST_S
    proxy.part_with_late()
    assert room.told["head"] == ["go", "cut off"]
    room.enter("proxy", "10.9.0.1", Phase.IDLE)
    room.clock.now_s += 75.0
    room.all.part_with_late()
    assert {name for name, told in room.told.items() if told} == {"head", "idle"}


def test_fault_in_one_connection_is_not_the_end_of_all_deadlines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(at_once: bool) -> None:
        raise RuntimeError("no such transport")

    room = Room()
    assert room.all.admit("10.0.0.1", broken) is not None
    room.enter("late", "10.0.0.2")
    for _ in range(2):
        room.clock.now_s += LIMITS.header_timeout_s + 1
        room.all.part_with_late()
    assert room.told["late"] == ["go", "cut off"] and len(room.all) == 0
    assert "no such transport" in caplog.text

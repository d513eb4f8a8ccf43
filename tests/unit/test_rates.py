"""How often somebody may do something, by a clock that a test turns."""

import pytest

from streamer.errors import TooManyRequests
from streamer.rates import MAX_CLIENTS, Bucket, Rate
from streamer.server.connections import client_of


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def taken(bucket: Bucket, tries: int) -> int:
    return sum(bucket.take() for _ in range(tries))


def test_bucket_gives_a_minutes_worth_at_once_and_then_as_much_a_minute() -> None:
    clock = Clock()
    bucket = Bucket(60, clock)
    assert taken(bucket, 100) == 60
    assert bucket.wait_s == pytest.approx(1.0)
    clock.now_s += 10.0
    assert taken(bucket, 100) == 10
    clock.now_s += 3600.0
    assert taken(bucket, 100) == 60


def test_what_is_lost_is_no_more_than_there_is() -> None:
    clock = Clock()
    bucket = Bucket(60, clock, at_once=2)
    for _ in range(10):
        bucket.lose()
    assert bucket.wait_s == pytest.approx(1.0)
    clock.now_s += 0.5
    bucket.lose()  # half of one
    assert bucket.wait_s == pytest.approx(1.0)
    clock.now_s += 10.0
    assert (bucket.wait_s, taken(bucket, 10)) == (0.0, 2)


def test_each_client_has_a_rate_of_its_own_and_nobody_has_none() -> None:
    clock = Clock()
    rate = Rate(2, "knock", "[limits] knocks", clock)
    for client in ("a", "a", "b"):
        rate.take(client)
    with pytest.raises(TooManyRequests, match="knock 2 times") as refused:
        rate.take("a")
    assert refused.value.retry_after_s == 30
    rate.take("b")
    for _ in range(10):
        rate.take("")


def test_clients_without_end_take_no_memory_without_end() -> None:
    rate = Rate(2, "knock", "[limits] knocks", Clock())
    for number in range(2 * MAX_CLIENTS):
        rate.take(str(number))
    assert len(rate._buckets) == MAX_CLIENTS


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("127.0.0.1", ""),
        ("::1", ""),
        ("::ffff:127.0.0.1", ""),
        ("192.168.1.7", "192.168.1.7"),
        ("::ffff:192.168.1.7", "192.168.1.7"),
        ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff::7", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", ""),
    ],
)
def test_share_of_a_host_is_its_address_or_its_network_of_ipv6(address: str, client: str) -> None:
    assert client_of(address) == client

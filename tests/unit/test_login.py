"""Answers to a server's challenge: the examples of the RFCs, and the forms that servers use."""

import pytest

from streamer.outputs.login import Login

NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"


def challenge(algorithm: str) -> str:
    """RFC 7616, section 3.9.1."""
    return (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        f'nonce="{NONCE}", opaque="{OPAQUE}"'
    )


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_digest_is_that_of_the_example_in_the_rfc(
    algorithm: str, response: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _: CNONCE)
    login = Login("Mufasa", "Circle of Life")
    assert login.take([challenge(algorithm)])
    answer = login.answer("GET", "/dir/index.html")
    assert answer.startswith('Digest username="Mufasa", ')
    for part in (f'response="{response}"', f'opaque="{OPAQUE}"', "qop=auth", "nc=00000001"):
        assert part in answer
    assert "nc=00000002" in login.answer("GET", "/dir/index.html")


def test_digest_of_old_servers_has_no_count() -> None:
    """As RTSP servers ask for it (RFC 2069)."""
    login = Login("me", "s3cret")
    assert login.take(['Digest realm="GStreamer RTSP Server", nonce="b2f4"'])
    answer = login.answer("ANNOUNCE", "rtsp://host/x")
    assert 'response="' in answer
    assert "nc=" not in answer and "qop" not in answer


def test_basic_is_the_pair_in_base64() -> None:
    login = Login("Aladdin", "open sesame")
    assert login.take(['Basic realm="x"'])
    assert login.answer("ANNOUNCE", "x") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617


@pytest.mark.parametrize(
    ("challenges", "scheme"),
    [
        (['Basic realm="x"', 'Digest realm="x", nonce="1"'], "Digest"),
        (['Digest realm="x", nonce="1", algorithm=SHA-512-256', 'Basic realm="x"'], "Basic"),
        (['digest realm="a, b", nonce="1"'], "Digest"),
    ],
)
def test_the_best_that_is_offered_is_taken(challenges: list[str], scheme: str) -> None:
    login = Login("me", "s3cret")
    assert login.take(challenges)
    assert login.answer("ANNOUNCE", "x").startswith(scheme)


@pytest.mark.parametrize(
    "challenges", [[], ["Negotiate"], [""], ['Digest realm="x", algorithm=MD5-sess'], ["\x00"]]
)
def test_what_nobody_knows_is_not_answered(challenges: list[str]) -> None:
    assert not Login("me", "s3cret").take(challenges)


def test_names_with_quotes_stay_inside_their_quotes() -> None:
    login = Login('a"b\\c', "s3cret")
    login.take(['Digest realm="x", nonce="1"'])
    assert 'username="a\\"b\\\\c"' in login.answer("ANNOUNCE", "x")


def test_challenge_with_an_empty_value_is_read_past_it() -> None:
    login = Login("me", "pass")
    assert login.take(['Digest realm="r", opaque=, nonce="n"'])
    assert 'nonce="n"' in login.answer("ANNOUNCE", "rtsp://cam/x")

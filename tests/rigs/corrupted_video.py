"""Cameras whose video, RTP or RTSP is damaged, each by its number: the same number breaks in the same way.

Real H.264, H.265 and MJPEG as RTP in RTSP's connection (RFC 6184, 7798, 2435; RFC 2326, section 10.12).
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext

from tests.rigs.scripted_camera import SESSION, Request, Script, reply, sdp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Unit = bytes
"""A NAL unit, or of MJPEG a whole picture."""

Picture = list[Unit]

MAX_PAYLOAD_BYTES = 1200
FPS = 10
_H264_HUGE = bytes.fromhex("6742c01e")  # a sequence parameter set's head: baseline, level 3.0
_GARBAGE_BYTES = (1, 3000)


@dataclass(frozen=True)
class Film:
    """``pictures``: in the order of decoding, parameter sets with each key frame."""

    codec: str
    pictures: list[Picture]

    @property
    def rtpmap(self) -> str:
        return {"h264": "H264/90000", "h265": "H265/90000", "mjpeg": "JPEG/90000"}[self.codec]


def film_of(clip: Path, codec: str, pictures: int = 12) -> Film:
    """The beginning of a clip. ``codec``: "h264", "h265" or "mjpeg"."""
    with av.open(clip) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size][:pictures]
        if codec == "mjpeg":
            return Film(codec, [[bytes(packet)] for packet in packets])
        name = "h264_mp4toannexb" if codec == "h264" else "hevc_mp4toannexb"
        bare = BitStreamFilterContext(name, stream)
        units = [_units(bytes(each)) for packet in packets for each in bare.filter(packet)]
        return Film(codec, units)


def _units(annex_b: bytes) -> Picture:
    return [unit.rstrip(b"\0") for unit in annex_b.split(b"\0\0\1") if unit.strip(b"\0")]


# -- damage to the video itself ---------------------------------------------------------------------


def _flip_bits(dice: random.Random, unit: Unit, count: int, within: int) -> Unit:
    damaged = bytearray(unit)
    for _ in range(count):
        damaged[dice.randrange(min(len(damaged), within))] ^= 1 << dice.randrange(8)
    return bytes(damaged)


def _each_unit(share: float, damage: Callable[[random.Random, Unit], Unit]) -> Any:
    def apply(dice: random.Random, pictures: list[Picture]) -> list[Picture]:
        return [
            [damage(dice, unit) if unit and dice.random() < share else unit for unit in picture]
            for picture in pictures
        ]

    return apply


def _without(dice: random.Random, pictures: list[Picture]) -> list[Picture]:
    return [[unit for unit in picture if dice.random() < 0.7] for picture in pictures]


def _without_parameters(dice: random.Random, pictures: list[Picture]) -> list[Picture]:
    return [picture[-1:] for picture in pictures]


def _doubled(dice: random.Random, pictures: list[Picture]) -> list[Picture]:
    return [
        [u for unit in picture for u in [unit] * dice.choice((1, 2, 5))] for picture in pictures
    ]


def _shuffled(dice: random.Random, pictures: list[Picture]) -> list[Picture]:
    units = [unit for picture in pictures for unit in picture]
    dice.shuffle(units)
    return [units[at : at + 2] for at in range(0, len(units), 2)]


def _garbage(dice: random.Random, pictures: list[Picture]) -> list[Picture]:
    return [
        [*picture, *(dice.randbytes(dice.randint(*_GARBAGE_BYTES)) for _ in range(2))]
        for picture in pictures
    ]


def _other_sizes(dice: random.Random, pictures: list[Picture]) -> list[Picture]:
    """H.264 parameter sets of other sizes, up to millions of pixels a side, in the middle of the film."""
    return [
        [_parameter_set(dice), *picture] if dice.random() < 0.5 else picture for picture in pictures
    ]


def _parameter_set(dice: random.Random) -> Unit:
    """H.264, section 7.3.2.1.1, with everything that may be large being large."""
    most = dice.choice((2, 40, 300, 4000, 1 << 16, (1 << 32) - 2))
    fields = [
        0,
        dice.randrange(14),
        2,
        dice.randrange(0, 17),
        -1,
        *(dice.randrange(most) for _ in "wh"),
    ]
    bits = "".join("0" if each < 0 else _exp_golomb(each) for each in fields) + "1100" + "1"
    bits += "0" * (-len(bits) % 8)
    body = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return _H264_HUGE + body.replace(b"\0\0", b"\0\0\3\0")


def _exp_golomb(value: int) -> str:
    binary = bin(value + 1)[2:]
    return "0" * (len(binary) - 1) + binary


VIDEO = {
    "bits": _each_unit(0.5, lambda dice, unit: _flip_bits(dice, unit, 20, 1 << 30)),
    "few bits": _each_unit(0.2, lambda dice, unit: _flip_bits(dice, unit, 1, 1 << 30)),
    "heads": _each_unit(0.7, lambda dice, unit: _flip_bits(dice, unit, 3, 16)),
    "truncated": _each_unit(0.5, lambda dice, unit: unit[: dice.randrange(len(unit))]),
    "zeros": _each_unit(0.3, lambda dice, unit: bytes(len(unit))),
    "dropped": _without,
    "no parameter sets": _without_parameters,
    "doubled": _doubled,
    "shuffled": _shuffled,
    "garbage": _garbage,
    "sizes": _other_sizes,
    "none": lambda dice, pictures: pictures,
}


# -- RTP ----------------------------------------------------------------------------------------------


def _payloads(film: Film, picture: Picture) -> Iterator[bytes]:
    for unit in picture:
        if film.codec == "mjpeg":
            yield from _jpeg_payloads(unit)
        elif len(unit) <= MAX_PAYLOAD_BYTES:
            yield unit
        else:
            yield from _fragments(film.codec, unit)


def _fragments(codec: str, unit: Unit) -> Iterator[bytes]:
    """RFC 6184, section 5.8; RFC 7798, section 4.4.3."""
    if codec == "h264":
        head, kind, body = bytes([unit[0] & 0xE0 | 28]), unit[0] & 0x1F, unit[1:]
    else:
        head, kind, body = bytes([unit[0] & 0x81 | 49 << 1, unit[1]]), unit[0] >> 1 & 0x3F, unit[2:]
    pieces = [body[at : at + MAX_PAYLOAD_BYTES] for at in range(0, len(body), MAX_PAYLOAD_BYTES)]
    for number, piece in enumerate(pieces):
        start, end = 0x80 * (number == 0), 0x40 * (number == len(pieces) - 1)
        yield head + bytes([start | end | kind]) + piece


def _jpeg_payloads(picture: bytes) -> Iterator[bytes]:
    """RFC 2435, section 3.1, without tables of its own: that they are wrong is part of the damage."""
    start = picture.find(b"\xff\xda")
    body = picture[start + 14 :] if start >= 0 else picture
    for at in range(0, len(body), MAX_PAYLOAD_BYTES):
        yield (
            struct.pack("!IBBBB", at & 0xFFFFFF, 1, 80, 40, 30) + body[at : at + MAX_PAYLOAD_BYTES]
        )


def _rtp(film: Film) -> list[bytes]:
    packets: list[bytes] = []
    kind = 26 if film.codec == "mjpeg" else 96
    for place, picture in enumerate(film.pictures):
        payloads = list(_payloads(film, picture))
        for payload in payloads:
            marker = 0x80 * (payload is payloads[-1])
            stamp = place * 90_000 // FPS
            head = struct.pack("!BBHII", 0x80, marker | kind, len(packets) & 0xFFFF, stamp, 88)
            packets.append(head + payload)
    return packets


def _lose(dice: random.Random, packets: list[bytes]) -> list[bytes]:
    return [each for each in packets if dice.random() < 0.8]


def _mix(dice: random.Random, packets: list[bytes]) -> list[bytes]:
    places = sorted(range(len(packets)), key=lambda place: place + dice.uniform(0, 12))
    return [packets[place] for place in places]


def _twice(dice: random.Random, packets: list[bytes]) -> list[bytes]:
    return [each for packet in packets for each in [packet] * dice.choice((1, 1, 3))]


def _heads(dice: random.Random, packets: list[bytes]) -> list[bytes]:
    """Version, padding, extensions, sources, kind, numbers, times: whatever the first bytes say."""
    return [_flip_bits(dice, each, dice.choice((0, 1, 3)), 18) for each in packets]


def _cut(dice: random.Random, packets: list[bytes]) -> list[bytes]:
    return [each[: dice.randrange(len(each))] if dice.random() < 0.3 else each for each in packets]


def _noise(dice: random.Random, packets: list[bytes]) -> list[bytes]:
    return [dice.randbytes(len(each)) if dice.random() < 0.3 else each for each in packets]


def _aggregates(dice: random.Random, packets: list[bytes]) -> list[bytes]:
    """Of lengths that are not there (RFC 6184, section 5.7.1)."""
    lies = [struct.pack("!BHB", 24, dice.randrange(1 << 16), 5) for _ in packets]
    return [
        packet[:12] + lie + packet[12:] if dice.random() < 0.4 else packet
        for packet, lie in zip(packets, lies, strict=True)
    ]


RTP = {
    "none": lambda dice, packets: packets,
    "lost": _lose,
    "mixed": _mix,
    "twice": _twice,
    "heads": _heads,
    "cut": _cut,
    "noise": _noise,
    "aggregates": _aggregates,
}


# -- RTSP ---------------------------------------------------------------------------------------------


def _interleaved(channel: int, packet: bytes, length: int | None = None) -> bytes:
    size = len(packet) if length is None else length
    return struct.pack("!cBH", b"$", channel, size & 0xFFFF) + packet


def _wrong_lengths(dice: random.Random, packets: list[bytes]) -> Iterator[bytes]:
    for packet in packets:
        wrong = dice.choice(
            (None, None, 0, 1, 3, 0xFFFF, len(packet) + 40, max(0, len(packet) - 9))
        )
        yield _interleaved(0, packet, wrong)


def _wrong_channels(dice: random.Random, packets: list[bytes]) -> Iterator[bytes]:
    for packet in packets:
        yield _interleaved(dice.choice((0, 0, 1, 2, 255)), packet)


def _text_between(dice: random.Random, packets: list[bytes]) -> Iterator[bytes]:
    said = (
        *(b"RTSP/1.0 200 OK\r\nCSeq: 9\r\n\r\n", b"GARBAGE\r\n\r\n", b"\0" * 50, b"\r\n" * 20),
        *(b"RTSP/1.0 454 Session Not Found\r\nContent-Length: -1\r\n\r\n", b"$", b"RTSP/1.0 "),
        *(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n", b"x" * 9000),
    )
    for packet in packets:
        if dice.random() < 0.1:
            yield dice.choice(said)
        yield _interleaved(0, packet)


WIRE = {
    "none": lambda dice, packets: (_interleaved(0, each) for each in packets),
    "lengths": _wrong_lengths,
    "channels": _wrong_channels,
    "text": _text_between,
}


class _Broken(Script):
    """Answers that are damaged with a probability; ``dice`` and ``share`` are set by whoever makes it."""

    dice: random.Random
    share: float

    def answer(self, request: Request) -> bytes:
        answer = super().answer(request)
        if self.dice.random() >= self.share:
            return answer
        match self.dice.randrange(6):
            case 0:
                return _flip_bits(self.dice, answer, 8, 1 << 30)
            case 1:
                return answer[: self.dice.randrange(len(answer))]
            case 2:
                return answer.replace(b"Content-Length: ", b"Content-Length: 9")
            case 3:
                return reply(request, "X: " + "y" * self.dice.choice((5000, 200_000)) + "\r\n")
            case 4:
                broken = _flip_bits(self.dice, self.sdp, 12, 1 << 30) * self.dice.choice((1, 1, 30))
                return reply(request, f"Content-Type: application/sdp\r\n{SESSION}", broken)
            case _:
                return answer * 3


_SDP_LINES = (
    *(
        "",
        "",
        "",
        "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aMuMsg==",
    ),
    *(
        "a=fmtp:96 sprop-parameter-sets=%%%%,====",
        "a=fmtp:96 sprop-parameter-sets=" + "QUFB" * 5000,
    ),
    *(
        "a=fmtp:96 sprop-vps=QAEMAf//AWAAAAMA;sprop-sps=QgEB;sprop-pps=RAHA",
        "a=framesize:96 99999-99999",
    ),
    *(
        "a=framerate:1e300",
        "a=range:npt=9999999999-",
        "m=video 0 RTP/AVP 97\r\nm=video 0 RTP/AVP 98",
    ),
    *("a=rtpmap:96 H264/0", "a=rtpmap:96 H264/-1", "b=AS:99999999999999999999"),
)


def corrupted(number: int, films: list[Film]) -> tuple[str, Script]:
    """What is wrong with it, in words, and the camera."""
    dice = random.Random(number)
    film = films[number % len(films)]
    video, rtp, wire = dice.choice(list(VIDEO)), "none", "none"
    share, line = 0.0, ""
    match dice.randrange(5):
        case 0:
            rtp = dice.choice(list(RTP))
        case 1:
            wire = dice.choice(list(WIRE))
        case 2:
            share = dice.choice((0.2, 0.5))
        case 3:
            line = dice.choice(_SDP_LINES)
    damaged = replace(film, pictures=VIDEO[video](dice, film.pictures))
    packets = RTP[rtp](dice, _rtp(damaged))
    pieces = list(WIRE[wire](dice, packets))
    script = _Broken(sdp=sdp_of(film.rtpmap, line), media=lambda: iter(pieces))
    script.dice, script.share = dice, share
    words = f"{film.codec}: video {video}, RTP {rtp}, wire {wire}, answers {share}, SDP {line[:30]}"
    return words, script

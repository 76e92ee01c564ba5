"""Modbus RTU frames and the time that they take.

Source: Modbus over Serial Line Specification and Implementation Guide V1.02, 2.5.1 and
its appendix on the CRC.
"""

from __future__ import annotations

_CHARACTER_BITS = 11
_SHORTEST_FRAME = 4


def crc16(data: bytes) -> bytes:
    """Return the two check bytes of a frame, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            odd = crc & 1
            crc >>= 1
            if odd:
                crc ^= 0xA001
    return crc.to_bytes(2, "little")


def framed(unit: int, pdu: bytes) -> bytes:
    """Return the frame that carries a request or reply."""
    content = bytes((unit,)) + pdu
    return content + crc16(content)


def unframed(frame: bytes) -> tuple[int, bytes] | None:
    """Return unit and PDU; None for what is no frame."""
    if len(frame) < _SHORTEST_FRAME or crc16(frame[:-2]) != frame[-2:]:
        return None
    return frame[0], frame[1:-2]


def character_s(baud_rate: int) -> float:
    """Return how long a character takes, in seconds."""
    return _CHARACTER_BITS / baud_rate


def silence_s(baud_rate: int) -> float:
    """Return how long the line is silent between two frames, in seconds."""
    return 0.00175 if baud_rate > 19_200 else 3.5 * character_s(baud_rate)

"""What a device bears, in words."""

from __future__ import annotations

from egw.devices.profile import Manners


def manners_in_words(manners: Manners) -> tuple[str, ...]:
    """Return a sentence for each manner; those that every device has are left out."""
    sentences = [f"at most {manners.max_registers} registers in one read"]
    if manners.bridge_registers:
        sentences.append(f"reads up to {manners.bridge_registers} registers along")
    if manners.gap_ms:
        sentences.append(f"needs {manners.gap_ms} ms between two requests")
    if manners.connect_delay_ms:
        sentences.append(f"needs {manners.connect_delay_ms} ms after connecting")
    if manners.settle_ms:
        sentences.append(f"tells a written value after {manners.settle_ms} ms")
    if manners.single_connection:
        sentences.append("serves one connection only")
    if manners.units:
        units = ", ".join(map(str, manners.units))
        sentences.append(f"may have the unit id {units} instead")
    if not manners.echoes_transaction_id:
        sentences.append("a bridge may answer with a transaction id of its own")
    return tuple(sentences)

"""How to talk to a device: profiles, decoding, harvest plans and transports."""

"""The REST API: a Falcon application over a snapshot of what the actors told."""

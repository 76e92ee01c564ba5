"""An open energy gateway."""

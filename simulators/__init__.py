"""Stand-ins for hardware and backend: real servers on sockets, faults on demand."""

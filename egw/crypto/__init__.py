"""Keys and signatures: who the gateway is and how it proves it."""

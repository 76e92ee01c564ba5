"""`egw demo`: a gateway against a simulated site, measured from outside."""

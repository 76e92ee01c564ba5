"""The device profiles that come with egw, one YAML file each."""

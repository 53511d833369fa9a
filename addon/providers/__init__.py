"""What the bridge knows about providers: profiles as data, one TOML file per platform."""

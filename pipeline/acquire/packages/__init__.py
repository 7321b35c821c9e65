"""Archives of package registries and git, through their own clients; read, and never installed."""

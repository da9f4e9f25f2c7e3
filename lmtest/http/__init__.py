"""The HTTP side: a stand-in provider, and later the same cassettes for every HTTP client."""

"""An HTTP client for other people's servers: safe against what they send, polite in what it asks of them."""

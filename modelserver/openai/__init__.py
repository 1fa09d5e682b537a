"""OpenAI's REST interface over our own service, so that its client and the programs made for it work unchanged."""

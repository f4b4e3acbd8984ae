"""Sends requests to Cloudflare: signs in, keeps the rate limit, reads the answers."""

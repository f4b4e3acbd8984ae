"""Asks Cloudflare, signs in, reads its answers, keeps its rate limit."""

"""Webhooks: each submission is posted, signed, to an address of the organization."""

"""What a submission passes before it is looked at: rate limits and the record of its idempotency key.

Both live in Redis and are asked in one round trip. `redis` and `memory` are held to one suite of promises.
"""

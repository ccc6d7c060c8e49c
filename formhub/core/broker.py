"""Kombu's transports for Redis, with one mend (kombu and Celery 5.7.0).

A worker that lost its broker drops the transport of the connection, then closes the connection's channel. Where a task
was under way the channel wants to put it back, asks for the address of a transport that is gone, and raises
AttributeError, which ends the worker. It is a lost connection like any other, and is told as one: then kombu passes
over it, and the worker connects anew. What was under way is done again by whoever finds it due.
"""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as transports
from redis.exceptions import ConnectionError as RedisConnectionError


class _TellsTheLoss:
    connection: Any

    def _connparams(self, *args: Any, **kwargs: Any) -> Any:
        if self.connection.client is None:
            raise RedisConnectionError("the connection to the broker is gone")
        found: Any = super()._connparams(*args, **kwargs)  # type: ignore[misc]
        return found


class Channel(_TellsTheLoss, transports.Channel):
    pass


class SentinelChannel(_TellsTheLoss, transports.SentinelChannel):
    pass


class Transport(transports.Transport):
    Channel = Channel


class SentinelTransport(transports.SentinelTransport):
    Channel = SentinelChannel


def install() -> None:
    """For every connection of this process, those included that kombu makes by itself after a failover."""
    TRANSPORT_ALIASES["redis"] = f"{__name__}:Transport"
    TRANSPORT_ALIASES["sentinel"] = f"{__name__}:SentinelTransport"

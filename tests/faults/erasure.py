"""Where a text could still lie: every place of a running installation that keeps anything, looked through whole."""

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql
from redis import Redis

from tests.stack import Stack


def traces(stack: Stack, text: str) -> list[str]:
    """The tables, keys and logs that hold the text, named."""
    return sorted({*_in_tables(stack, text), *_in_redis(stack, text), *_in_logs(stack, text)})


def query(stack: Stack, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.environment["DATABASE_URL"]) as connection:
        return list(connection.execute(statement.encode(), values).fetchall())


def execute(stack: Stack, statement: str, *values: Any) -> None:
    with psycopg.connect(stack.environment["DATABASE_URL"]) as connection:
        connection.execute(statement.encode(), values)


def _in_tables(stack: Stack, text: str) -> Iterator[str]:
    with psycopg.connect(stack.environment["DATABASE_URL"]) as connection:
        tables = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'r' AND n.nspname = 'public'"
        ).fetchall()
        for (table,) in tables:
            # Bytes are shown as hexadecimal digits.
            looked = sql.SQL("SELECT count(*) FROM {} t WHERE t::text LIKE %s OR t::text LIKE %s").format(
                sql.Identifier(table)
            )
            row = connection.execute(looked, [f"%{text}%", f"%{text.encode().hex()}%"]).fetchone()
            if row and row[0]:
                yield f"table {table}"


def _in_redis(stack: Stack, text: str) -> Iterator[str]:
    for name in ("REDIS_URL", "REDIS_BUFFER_URL"):
        client = Redis.from_url(stack.environment[name], socket_timeout=5)
        for key in client.scan_iter(count=1000):
            if text.encode() in key or text.encode() in repr(_value(client, key)).encode():
                yield f"{name} {key!r}"
        client.close()


def _value(client: Any, key: bytes) -> Any:
    match client.type(key):
        case b"string":
            return client.get(key)
        case b"hash":
            return client.hgetall(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"set":
            return client.smembers(key)
        case b"zset":
            return client.zrange(key, 0, -1)
        case b"stream":
            return client.xrange(key)
        case b"none":
            return None
        case kind:
            raise AssertionError(f"{key!r} is a {kind!r}: say how it is read")


def _in_logs(stack: Stack, text: str) -> Iterator[str]:
    for path in stack.folder.glob("**/*.log"):
        if text in path.read_text(errors="replace"):
            yield f"log {path.name}"

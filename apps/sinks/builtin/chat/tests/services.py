"""The services as they answer, by their documents: what they take, what they refuse, and in which words."""

from collections.abc import Mapping
from typing import Any

import orjson

from apps.sinks.http_conformance import Service

Verdict = tuple[int, bytes]


class ChatService(Service):
    """`taken` holds only what was taken. text: the one a message of the service shows."""

    good: Verdict = (200, b"")

    @property
    def texts(self) -> list[str]:
        return [self.text(orjson.loads(body)) for body in self.taken]

    def text(self, body: Mapping[str, Any]) -> str:
        return str(body.get("text", ""))

    def verdict(self, body: Mapping[str, Any]) -> Verdict:
        return self.good

    def keep(self, body: bytes, headers: Mapping[str, str]) -> None:
        if self.verdict(orjson.loads(body)) == self.good:
            self.taken.append(body)

    def answer(self, body: bytes, headers: Mapping[str, str]) -> Verdict:
        return self.verdict(orjson.loads(body))


class SlackService(ChatService):
    good = (200, b"ok")

    def verdict(self, body: Mapping[str, Any]) -> Verdict:
        return self.good if self.text(body).strip() else (400, b"no_text")


class DiscordService(ChatService):
    good = (204, b"")

    def text(self, body: Mapping[str, Any]) -> str:
        return str(body.get("content", ""))

    def verdict(self, body: Mapping[str, Any]) -> Verdict:
        text = self.text(body)
        if not text.strip():
            return 400, orjson.dumps({"message": "Cannot send an empty message", "code": 50006})
        if len(text) > 2000:
            errors = {"content": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer."}]}}
            return 400, orjson.dumps({"message": "Invalid Form Body", "code": 50035, "errors": errors})
        return self.good


class TeamsService(ChatService):
    good = (202, b"")

    def text(self, body: Mapping[str, Any]) -> str:
        [attachment] = body["attachments"]
        return "\n".join(run["text"] for block in attachment["content"]["body"] for run in block["inlines"])

    def verdict(self, body: Mapping[str, Any]) -> Verdict:
        runs = [run for block in body["attachments"][0]["content"]["body"] for run in block["inlines"]]
        if len(orjson.dumps(body)) > 28 * 1024 or not all(run["text"] for run in runs):
            return 400, orjson.dumps({"error": {"code": "BadRequest", "message": "Bad payload."}})
        return self.good


class TelegramService(ChatService):
    def __init__(self, chat: str = "-1001") -> None:
        super().__init__()
        self.chat = chat

    def verdict(self, body: Mapping[str, Any]) -> Verdict:
        text = self.text(body)
        if body["chat_id"] != self.chat:
            return self.refusal(400, "Bad Request: chat not found")
        if not text.strip():
            return self.refusal(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            return self.refusal(400, "Bad Request: message is too long")
        return self.good

    @property
    def good(self) -> Verdict:  # type: ignore[override]
        return 200, orjson.dumps({"ok": True, "result": {"message_id": 1}})

    @staticmethod
    def refusal(status: int, said: str, **parameters: Any) -> Verdict:
        body = {"ok": False, "error_code": status, "description": said}
        return status, orjson.dumps(body | ({"parameters": parameters} if parameters else {}))

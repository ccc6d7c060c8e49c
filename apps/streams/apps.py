from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class StreamsConfig(AppConfig):
    name = "apps.streams"
    label = "streams"
    verbose_name = _("Streams")

    def ready(self) -> None:
        from apps.streams.registry import check_processors

        checks.register(check_processors)

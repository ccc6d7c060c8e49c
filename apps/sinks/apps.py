from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class SinksConfig(AppConfig):
    name = "apps.sinks"
    label = "sinks"
    verbose_name = _("Actions")

    def ready(self) -> None:
        from apps.sinks.registry import check_kinds

        checks.register(check_kinds)

from django.apps import AppConfig


class SinksConfig(AppConfig):
    name = "apps.sinks"
    label = "sinks"

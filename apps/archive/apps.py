from django.apps import AppConfig
from django.db.models.signals import post_delete


class ArchiveConfig(AppConfig):
    name = "apps.archive"
    label = "archive"

    def ready(self) -> None:
        from apps.archive.erasing import form_deleted

        # Whoever deletes a form, and with whatever it goes (its organization): its submissions are erased.
        post_delete.connect(form_deleted, sender="forms.Form")

"""Which forms are processed by what."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Processing(models.Model):
    """A processor on a form, with its settings. It holds for what the processor reads from now on."""

    form = models.ForeignKey(
        "forms.Form", models.CASCADE, db_constraint=False, related_name="+", verbose_name=_("form")
    )
    processor = models.CharField(_("processor"), max_length=50)
    config = models.JSONField(default=dict, blank=True)
    on = models.BooleanField(_("on"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("analysis")
        verbose_name_plural = _("analyses")
        constraints = [models.UniqueConstraint(fields=["form", "processor"], name="streams_processing_once")]

    def __str__(self) -> str:
        return self.processor

"""Forms, their fields and versions in the admin."""

from apps.forms.admin.form import FormAdmin
from apps.forms.admin.version import FormVersionAdmin

__all__ = ["FormAdmin", "FormVersionAdmin"]

from django.apps import apps
from django.contrib.admin import site
from django.contrib.admin.apps import AdminConfig


class FormHubAdminConfig(AdminConfig):
    """Django's admin with the site that members of organizations may enter."""

    default_site = "apps.orgs.site.FormHubAdminSite"

    def ready(self) -> None:
        super().ready()
        # Rights are memberships here, not Django's groups; by now every app has registered what it has.
        site.unregister(apps.get_model("auth", "Group"))

from django.contrib.admin.apps import AdminConfig


class FormHubAdminConfig(AdminConfig):
    """Django's admin with the site that members of organizations may enter."""

    default_site = "apps.orgs.site.FormHubAdminSite"

import apps.forms.models
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import formhub.core.ids
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('orgs', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Form',
            fields=[
                ('id', models.UUIDField(default=formhub.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('public_id', models.CharField(default=formhub.core.ids.public_id, editable=False, max_length=32, unique=True, verbose_name='public id')),
                ('slug', models.SlugField(max_length=80, verbose_name='short name')),
                ('title', models.CharField(max_length=200, verbose_name='title')),
                ('default_language', models.CharField(default='en', max_length=12, verbose_name='language')),
                ('region', models.CharField(blank=True, max_length=2, verbose_name='region for phone numbers')),
                ('settings', models.JSONField(blank=True, default=dict, verbose_name='settings')),
                ('salt', models.BinaryField(default=apps.forms.models.make_salt, max_length=16)),
                ('key_required', models.BooleanField(default=False, verbose_name='needs an API key')),
                ('allowed_origins', models.JSONField(blank=True, default=list, verbose_name='allowed origins')),
                ('closed_at', models.DateTimeField(blank=True, null=True, verbose_name='closed from')),
                ('closed_text', models.TextField(blank=True, max_length=2000, verbose_name='text when closed')),
                ('rates', models.JSONField(blank=True, default=dict, verbose_name='limits')),
                ('keys', models.JSONField(default=dict, editable=False)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='changed at')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='forms', to='orgs.organization', verbose_name='organization')),
            ],
            options={
                'verbose_name': 'form',
                'verbose_name_plural': 'forms',
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='FormVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(verbose_name='version')),
                ('definition', models.JSONField(verbose_name='definition')),
                ('schema', models.JSONField(verbose_name='schema of its answers')),
                ('layout', models.JSONField(verbose_name='columns')),
                ('retired', models.JSONField(default=list, verbose_name='columns of earlier versions')),
                ('published_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='published at')),
                ('form', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='forms.form', verbose_name='form')),
                ('published_by', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='published by')),
            ],
            options={
                'verbose_name': 'version',
                'verbose_name_plural': 'versions',
                'ordering': ['-number'],
            },
        ),
        migrations.AddField(
            model_name='form',
            name='live',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='forms.formversion', verbose_name='published version'),
        ),
        migrations.CreateModel(
            name='Field',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('position', models.PositiveIntegerField(default=0, verbose_name='position')),
                ('type', models.CharField(max_length=50, verbose_name='type')),
                ('key', models.CharField(blank=True, max_length=63, validators=[django.core.validators.RegexValidator('\\A[a-z][a-z0-9_]{0,62}\\Z', 'Use small letters a-z, digits and _; begin with a letter; at most 63 characters.')], verbose_name='key')),
                ('label', models.JSONField(blank=True, default=str, verbose_name='label')),
                ('help', models.JSONField(blank=True, default=str, verbose_name='hint')),
                ('required', models.BooleanField(default=False, verbose_name='required')),
                ('settings', models.JSONField(blank=True, default=dict, verbose_name='settings')),
                ('parent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='children', to='forms.field', verbose_name='inside')),
                ('form', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='fields', to='forms.form')),
            ],
            options={
                'verbose_name': 'field',
                'verbose_name_plural': 'fields',
                'ordering': ['position', 'id'],
                'indexes': [models.Index(fields=['form', 'position', 'id'], name='forms_field_order')],
            },
        ),
        migrations.AddConstraint(
            model_name='formversion',
            constraint=models.UniqueConstraint(fields=('form', 'number'), name='forms_version_number'),
        ),
        migrations.AddConstraint(
            model_name='form',
            constraint=models.UniqueConstraint(fields=('organization', 'slug'), name='forms_form_slug'),
        ),
    ]

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orgs', '0003_invitations'),
        ('sinks', '0003_walk'),
    ]

    operations = [
        migrations.CreateModel(
            name='Suppression',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.EmailField(max_length=254, verbose_name='e-mail address')),
                ('reason', models.CharField(choices=[('unsubscribed', 'By the link in a mail'), ('entered', 'Entered by hand')], default='entered', max_length=20, verbose_name='reason')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='since')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='orgs.organization', verbose_name='organization')),
            ],
            options={
                'verbose_name': 'address not written to',
                'verbose_name_plural': 'addresses not written to',
                'indexes': [models.Index(fields=['organization', '-created_at'], name='sinks_suppression_newest')],
                'constraints': [models.UniqueConstraint(fields=('organization', 'address'), name='sinks_suppression_once')],
            },
        ),
    ]

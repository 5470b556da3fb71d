"""What checks depend on, and since when one flaps."""

import apps.core.ids
import apps.core.tenancy
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('checks', '0003_heartbeats'),
        ('tenants', '0002_invitation_letters'),
    ]

    operations = [
        migrations.AddField(
            model_name='checkstate',
            name='flapping_since_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name='checkstate',
            index=models.Index(condition=models.Q(('is_flapping', True)), fields=['watched'], name='checks_state_flapping'),
        ),
        migrations.AddIndex(
            model_name='checkstate',
            index=models.Index(condition=models.Q(('state', 'maintenance')), fields=['watched'], name='checks_state_maintained'),
        ),
        migrations.CreateModel(
            name='Dependency',
            fields=[
                ('id', models.UUIDField(default=apps.core.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('tenant', apps.core.tenancy.TenantKey(editable=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='tenants.tenant')),
                ('child', apps.core.tenancy.TenantForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='dependencies', to='checks.check')),
                ('parent', apps.core.tenancy.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='dependents', to='checks.check')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'objects',
            },
        ),
        migrations.AddConstraint(
            model_name='dependency',
            constraint=models.UniqueConstraint(fields=('child', 'parent'), name='checks_dependency_once'),
        ),
        migrations.AddConstraint(
            model_name='dependency',
            constraint=models.CheckConstraint(condition=models.Q(('child', models.F('parent')), _negated=True), name='checks_dependency_on_another'),
        ),
    ]

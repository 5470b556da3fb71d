"""Outages stay open while their check is out of sight, so they remember what they were when last seen."""

from django.db import migrations, models

# Until now the last flip of an open outage said what it is. Row-level security is forced upon the owner too, who has no
# tenant open here: without stepping over it the statement would find nothing.
FILL = """
ALTER TABLE incidents_outage NO FORCE ROW LEVEL SECURITY;
ALTER TABLE checks_flip NO FORCE ROW LEVEL SECURITY;
UPDATE incidents_outage AS outage SET latest_severity = flip.after
FROM checks_flip AS flip WHERE flip.id = outage.last_flip_id AND outage.ended_at IS NULL AND flip.after = 'degraded';
ALTER TABLE incidents_outage FORCE ROW LEVEL SECURITY;
ALTER TABLE checks_flip FORCE ROW LEVEL SECURITY;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('checks', '0002_regions'),
        ('incidents', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='outage',
            name='latest_severity',
            field=models.CharField(choices=[('down', 'Down'), ('degraded', 'Degraded')], default='down', help_text='What it was when it was last seen.', max_length=10),
            preserve_default=False,
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='outageentry',
            name='kind',
            field=models.CharField(choices=[('opened', 'Opened'), ('worsened', 'Went down'), ('improved', 'Degraded only'), ('resolved', 'Resolved'), ('lost_sight', 'No longer watched'), ('unseen', 'Nothing measured'), ('in_maintenance', 'Maintenance began'), ('seen_again', 'Still not well'), ('note', 'Note'), ('notified', 'Notified'), ('silenced', 'Silenced'), ('acknowledged', 'Acknowledged'), ('delivered', 'Delivered'), ('not_delivered', 'Not delivered')], max_length=20),
        ),
    ]

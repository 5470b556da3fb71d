from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        migrations.AddIndex(
            "outboxrow",
            models.Index(
                fields=["tenant_id", "claimable_at"], name="events_outbox_of_tenant", condition=Q(is_parked=False)
            ),
        ),
        migrations.RemoveIndex("outboxrow", "events_outbox_claimable"),
    ]

"""What a configuration document lists besides checks: the list's name -> the class that reads, compares and keeps it.
`apps.checks` stands below those who have the rows."""

DOCUMENT_TABLE: dict[str, str] = {
    "maintenance": "apps.incidents.domain.window_documents.MaintenanceSection",
}

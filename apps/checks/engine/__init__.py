"""The probe engine: many probes on one event loop. Pure: it knows neither models nor settings."""

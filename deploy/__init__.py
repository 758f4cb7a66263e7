"""What runs Pillarbox outside of Django: the embedded servers, service units, dashboards."""

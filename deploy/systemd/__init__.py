"""The service's units for systemd: templates, and what renders them."""

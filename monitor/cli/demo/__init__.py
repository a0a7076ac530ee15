"""The product's main job on one machine in two minutes: a sandbox, a service, and an admin who unticks permissions."""

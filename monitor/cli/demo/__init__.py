"""The main job on one machine in two minutes: a sandbox, a service, and an admin who unticks things."""
